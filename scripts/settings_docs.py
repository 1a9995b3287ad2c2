"""Writes docs/settings.md from the settings of services and gateway: each field's docstring is its row.

`settings_docs.py` prints the page; `make lint` compares it with the one checked in.
"""

from typing import Any

from pydantic.fields import FieldInfo

from encoder_service.settings import EncoderSettings
from facerec.gateway.settings import GatewaySettings
from facerec.serving.server.settings import ListeningSettings
from facerec.serving.server.settings_help import describe
from matcher_service.settings import MatcherSettings

HEAD = """# Settings

For operators who configure a service or the gateway. Generated from their settings by `make settings-docs`.

Each can be set by a flag, by an environment variable or in a TOML file given by `--config`. A flag
overrides the environment, the environment the file, the file the default. A variable with the suffix
`_FILE` names a file that holds the value, for mounted secrets. An unknown flag, variable or entry is an
error.
"""


def page() -> str:
    """The whole page, in Markdown."""
    encoder = section("Encoder", "encoder_service", EncoderSettings)
    matcher = section("Matcher", "matcher_service", MatcherSettings)
    return HEAD + encoder + matcher + section("Gateway", "facerec.gateway", GatewaySettings)


def section(title: str, module: str, settings: type[ListeningSettings]) -> str:
    """One service's table."""
    prefix = settings.model_config.get("env_prefix", "")
    describe(settings)
    rows = "".join(row(prefix, name, field) for name, field in settings.model_fields.items())
    return f"""
## {title}

`python -m {module} serve`

| flag | variable | default | meaning |
| --- | --- | --- | --- |
{rows}"""


def row(prefix: str, name: str, field: FieldInfo) -> str:
    """One setting's row."""
    flag, variable = f"--{name.replace('_', '-')}", f"{prefix}{name}".upper()
    return f"| `{flag}` | `{variable}` | {default(field)} | {' '.join((field.description or '').split())} |\n"


def default(field: FieldInfo) -> str:
    """A default as it is written in settings."""
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "computed"
    value: Any = field.default
    if value is None:
        return "unset"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    print(page(), end="")
