"""What `check-config` and `doctor` print: one line for each result, and an exit code for scripts."""

import dataclasses
import os
import sys
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from facerec.printable import printable
from facerec.serving.server.errors import StartError
from facerec.serving.server.server import Server
from facerec.serving.server.settings import ListeningSettings, ServingSettings

State = Literal["ok", "warn", "fail"]


@dataclasses.dataclass(frozen=True)
class CheckResult:
    """The result of one check; unless it is ok, `text` says how to fix it."""

    subject: str
    state: State
    text: str


def report(results: Iterable[CheckResult]) -> int:
    """Print each result as it comes and return the exit code: 1 if anything failed."""
    failed = False
    for result in results:
        print(printable(f"{result.state:<5} {result.subject}: {result.text}"), flush=True)
        failed = failed or result.state == "fail"
    return int(failed)


def describe(settings: ListeningSettings, argv: list[str]) -> Iterable[str]:
    """One line for each setting: its value, masked if it is secret, and its source."""
    entries = _entries(argv)
    for name in type(settings).model_fields:
        yield f"{name} = {_text(getattr(settings, name))}  ({_origin(settings, name, argv, entries)})"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _origin(settings: ListeningSettings, name: str, argv: list[str], entries: dict[str, Any]) -> str:
    """The source of a setting's value, checked in order of precedence."""
    flag = name.replace("_", "-")
    variable = f"{settings.model_config.get('env_prefix', '')}{name}".upper()
    if any(argument.split("=")[0] in (f"--{flag}", f"--no-{flag}") for argument in argv):
        return "flag"
    if variable in os.environ:
        return variable
    if f"{variable}_FILE" in os.environ:
        return f"{variable}_FILE"
    return "file" if name in entries else "default"


def _entries(argv: list[str]) -> dict[str, Any]:
    for index, argument in enumerate(argv):
        flag, _, path = argument.partition("=")
        if flag == "--config":
            return tomllib.loads(Path(path or argv[index + 1]).read_text(encoding="utf-8"))
    return {}


def check_config(settings: ServingSettings, argv: list[str]) -> int:
    """Print the settings of `serve`. Raises StartError as `serve` does, except for a port in use."""
    for line in describe(settings, argv):
        print(printable(line))
    check_serving(settings)
    print("the settings are valid", file=sys.stderr)
    return 0


def check_serving(settings: ServingSettings) -> None:
    """Read the files that the server would: keys, certificates. Raises StartError as `serve` does."""
    Server(settings.server_options(), [])


def check_settings(check: Callable[[], None]) -> CheckResult:
    """The result of `check`, which checks the settings' addresses, certificates and keys."""
    try:
        check()
    except StartError as error:
        return CheckResult("settings", "fail", str(error))
    return CheckResult("settings", "ok", "addresses, certificates and keys are valid for `serve`")
