"""Prints the `--help` of a command: the settings that it uses."""

from collections.abc import Collection

import pydantic
from pydantic_settings import BaseSettings, CliSettingsSource

_SOURCES = (
    "Each may also be given as an environment variable ({prefix}NAME), as the path of a file that holds it "
    "({prefix}NAME_FILE), or in a TOML file named by --config FILE; a flag wins over the environment, the "
    "environment over the file."
)


def print_help(
    settings: type[BaseSettings], *, prog: str, about: str, takes: Collection[str] | None = None
) -> None:
    """Print the flags of a command and exit (SystemExit).

    `prog` is the command, `about` what it does, and `takes` names the settings that it uses; None for all.
    """
    prefix = settings.model_config.get("env_prefix", "")
    fields = {
        name: (field.annotation, field)
        for name, field in settings.model_fields.items()
        if takes is None or name in takes
    }
    listed = pydantic.create_model(  # type: ignore[call-overload]
        settings.__name__,
        __base__=BaseSettings,
        __doc__=f"{about[:1].upper()}{about[1:]}. {_SOURCES.format(prefix=prefix)}",
        **fields,
    )
    listed.model_config |= settings.model_config
    CliSettingsSource(listed, cli_prog_name=prog, cli_parse_args=["--help"])
