"""Whether a gateway serves the console: where others can reach it, only behind TLS and keys."""

from facerec.gateway.settings import GatewaySettings


def refusal(settings: GatewaySettings, *, is_loopback: bool) -> str:
    """Why the console is not served; empty if it is."""
    if settings.console == "off":
        return "console is off"
    if settings.console == "on" or is_loopback or settings.tls_cert_file:
        return ""
    return (
        "keys would be typed into pages that arrive in plain text: set tls_cert_file and tls_key_file, or "
        "console to on if a proxy before the gateway has TLS"
    )


def expects_keys(settings: GatewaySettings, *, is_loopback: bool) -> bool:
    """Whether the console's pages are for services that require keys only: others can reach the gateway."""
    return settings.console == "auto" and not is_loopback and not settings.tls_client_ca_file
