"""The command line of a service: `PROGRAM COMMAND [flags]`, its help, and the command `version`."""

import dataclasses
import json
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from facerec.printable import printable
from facerec.serving.server import loop
from facerec.serving.server.errors import StartError


@dataclasses.dataclass(frozen=True)
class Command:
    """One command of a service.

    `about` is its line in the help. `run` takes the flags after its name and returns the exit code, None for
    0; it may raise StartError, which is exit code 2.
    """

    about: str
    run: Callable[[list[str]], Coroutine[Any, Any, int | None]]


def run(program: str, commands: Mapping[str, Command], argv: list[str] | None = None) -> int:
    """Run the command that `argv` names (None: the process's arguments) and return the process's exit code.

    2 is for misuse, and for errors that a person must fix.
    """
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(_usage(program, commands))
        return 0 if argv else 2
    if argv[0] not in commands:
        print(
            f"error: there is no command {printable(argv[0])}\n{_usage(program, commands)}", file=sys.stderr
        )
        return 2
    return loop.run(commands[argv[0]].run(argv[1:]))


def _usage(program: str, commands: Mapping[str, Command]) -> str:
    lines = (f"  {name:<12}  {command.about}" for name, command in commands.items())
    return "\n".join([f"usage: {program} COMMAND [--help] [flags]", "", *lines])


def print_version(
    program: str, about: str, flags: list[str], text: str, versions: Mapping[str, object]
) -> None:
    """The command `version`: print `text`, or with --json `versions`. Raises StartError for other flags."""
    if flags in (["--help"], ["-h"]):
        print(f"usage: {program} version [--json]\n\n{about}")
    elif flags == ["--json"]:
        print(json.dumps(versions))
    elif flags:
        raise StartError("version takes --json or nothing")
    else:
        print(text)
