"""What is known of a call's peer before it is authenticated."""

from collections.abc import Iterable, Mapping

from facerec.serving.middleware.chain import Context


def certificate_names(context: Context) -> list[str]:
    """The names in the peer's client certificate, which the TLS handshake has verified."""
    found: Mapping[str, Iterable[bytes]] = context.auth_context() or {}
    names = ("x509_subject_alternative_name", "x509_common_name")
    return [value.decode(errors="replace") for name in names for value in found.get(name, ())]
