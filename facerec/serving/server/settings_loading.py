"""Reads the settings of a command, with error messages that say how to fix them."""

import difflib
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from pydantic_settings import CliSettingsSource, SettingsError

from facerec.serving.server.errors import SettingsInvalid
from facerec.serving.server.settings import ListeningSettings
from facerec.serving.server.settings_help import print_help

SettingsT = TypeVar("SettingsT", bound=ListeningSettings)


def load(
    settings: type[SettingsT],
    argv: list[str],
    *,
    prog: str,
    about: str = "",
    takes: Collection[str] | None = None,
) -> SettingsT:
    """Read the settings of one command; all commands of a service share one file and environment.

    `prog` is the command. `--help` prints `about` and the settings that `takes` names (None: all), and exits.
    Raises SettingsInvalid.
    """
    if "--help" in argv or "-h" in argv:
        print_help(settings, prog=prog, about=about, takes=takes)
    argv, path = _take_config(argv)
    prefix = settings.model_config.get("env_prefix", "")
    _refuse_unknown_variables(settings, prefix, prog)
    if path is not None and not path.is_file():
        raise SettingsInvalid(f"--config: there is no file {path}")
    settings.config_file = path
    flags: CliSettingsSource[Any] = CliSettingsSource(settings, cli_prog_name=prog, cli_parse_args=argv)
    try:
        return settings(_cli_settings_source=flags)  # type: ignore[call-arg]
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        flag, variable = f"--{name.replace('_', '-')}", f"{prefix}{name}".upper()
        if first["type"] == "extra_forbidden":
            meant = _suggest(name, settings.model_fields, prog)
            raise SettingsInvalid(f"{path}: there is no setting {name}; {meant}") from None
        raise SettingsInvalid(f"{flag} ({variable}): {first['msg']}") from None
    except (SettingsError, OSError, ValueError) as error:
        raise SettingsInvalid(str(error)) from None


def _take_config(argv: list[str]) -> tuple[list[str], Path | None]:
    """Remove `--config FILE`, which must be known before the settings are read; returns the rest and FILE."""
    for index, argument in enumerate(argv):
        if argument == "--config" and index + 1 < len(argv):
            return [*argv[:index], *argv[index + 2 :]], Path(argv[index + 1])
        if argument.startswith("--config="):
            return [*argv[:index], *argv[index + 1 :]], Path(argument.removeprefix("--config="))
    return argv, None


def _refuse_unknown_variables(settings: type[ListeningSettings], prefix: str, prog: str) -> None:
    """Refuse misspelt variables: else their settings would silently keep the default."""
    known = {f"{prefix}{name}".upper() for name in settings.model_fields}
    known |= {f"{name}_FILE" for name in known}
    for variable in os.environ:
        if prefix and variable.upper().startswith(prefix) and variable.upper() not in known:
            raise SettingsInvalid(
                f"{variable}: there is no such setting; {_suggest(variable.upper(), known, prog, prefix)}"
            )


def _suggest(name: str, known: Iterable[str], prog: str, prefix: str = "") -> str:
    """Suggest the setting with the most similar name, or else the help."""
    by_rest = {each.removeprefix(prefix): each for each in known}  # the common prefix is no similarity
    near = difflib.get_close_matches(name.removeprefix(prefix), by_rest, n=1)
    return f"did you mean {by_rest[near[0]]}?" if near else f"`{prog} --help` lists them"
