"""The services' settings in the environment of `facerec up`: those it passes on, and those it refuses."""

from collections.abc import Mapping

from facerec.local.errors import VariableRefused

_PLAIN = (
    "its services communicate in plain text: unset it, or run the services separately, as docs/security.md "
    "shows"
)
_REFUSED: Mapping[str, str] = {
    "ENCODER_ADDRESS": "give --encoder-address instead",
    "MATCHER_ADDRESS": "give --matcher-address instead",
    "GATEWAY_ADDRESS": "give --gateway-address instead",
    "ENCODER_INSECURE": "give --insecure instead",
    "MATCHER_INSECURE": "give --insecure instead",
    "GATEWAY_INSECURE": "give --insecure instead",
    "MATCHER_DATABASE_URL": "give --database-url instead, or set FACEREC_DATABASE_URL",
    "MATCHER_ENCODER_ADDRESS": "it starts an encoder of its own: unset it",
    "GATEWAY_ENCODER_ADDRESS": "it starts an encoder of its own: unset it",
    "GATEWAY_MATCHER_ADDRESS": "it starts a matcher of its own: unset it",
    "GATEWAY_SERVICES_SERVER_NAME": _PLAIN,
    "MATCHER_ENCODER_SERVER_NAME": _PLAIN,
    **{
        f"{service}_TLS_{name}": _PLAIN
        for service in ("ENCODER", "MATCHER", "MATCHER_ENCODER", "GATEWAY", "GATEWAY_SERVICES")
        for name in ("CERT_FILE", "KEY_FILE", "CLIENT_CA_FILE", "CA_FILE")
    },
}
_KEY = "MATCHER_ENCODER_API_KEY"

# About the machine and the models: the demo's stack uses these too.
OF_THE_MACHINE = (
    *("ENCODER_MODEL_CACHE_DIR", "ENCODER_WEIGHTS_DIR", "ENCODER_THREADS"),
    *("ENCODER_PROVIDER", "ENCODER_PRECISION", "ENCODER_GPU_MEMORY_BYTES"),
)


def check(environment: Mapping[str, str]) -> None:
    """Raises VariableRefused, naming the variable, for a setting that the stack does not support."""
    for setting, how in _REFUSED.items():
        if found := _find(environment, setting):
            raise VariableRefused(f"{found}: `facerec up` does not support it; {how}")
    keys = _find(environment, "ENCODER_KEYS_FILE")
    if keys and not _find(environment, _KEY):
        raise VariableRefused(
            f"{keys}: the matcher needs a key that is in it, with the role encode: set {_KEY} or {_KEY}_FILE"
        )


def with_settings(environment: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a service: `environment` with `settings`, by variable, in place of its own."""
    variables = {name for setting in settings for name in _variables(setting)}
    inherited = {name: value for name, value in environment.items() if name.upper() not in variables}
    return inherited | dict(settings)


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of stack and traces, except those of the machine: for the demo."""
    kept = {name for setting in OF_THE_MACHINE for name in _variables(setting)}
    prefixes = ("ENCODER_", "MATCHER_", "GATEWAY_", "FACEREC_", "OTEL_")
    return {
        name: value
        for name, value in environment.items()
        if not name.upper().startswith(prefixes) or name.upper() in kept
    }


def _variables(setting: str) -> tuple[str, str]:
    """The variables of a setting: its own, and the one that names a file with its value."""
    return setting, f"{setting}_FILE"


def _find(environment: Mapping[str, str], setting: str) -> str:
    """The name of the variable that has the setting, in the case it is written in; "" if none has."""
    return next((name for name in environment if name.upper() in _variables(setting)), "")
