"""`facerec backup` and `facerec restore`: the database of `facerec up` in one file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from facerec.cli.terminal import output
from facerec.cli.terminal.errors import Problem
from facerec.cli.terminal.options import Data, data_home
from facerec.interruption import INTERRUPTED


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist yet.")],
    data: Data = None,
) -> None:
    """Write the database of `facerec up` to one file.

    `facerec up` may be running. The file holds biometric templates, names and the audit log, also of people
    who are erased later: protect it like passwords, and delete it in time.
    """
    with _local_problems():
        from facerec.local import backup

        size_bytes = backup.backup(data or data_home(), target)
    output.line(f"{size_bytes:,} bytes written to {target}; protect it like passwords")


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `facerec backup` wrote.")],
    data: Data = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace the existing database, once all of the backup is restored."),
    ] = False,
) -> None:
    """Restore a database that `facerec backup` wrote.

    The next `facerec up` uses it. The SQL in the file is executed: restore only your own files. It has again
    the people who were erased after the backup.
    """
    folder = data or data_home()
    with _local_problems():
        from facerec.local import backup

        backup.restore(folder, source, replace=replace)
    output.line(f"restored {source} into {folder}; run `facerec up` and erase again those erased since")


@contextlib.contextmanager
def _local_problems() -> Iterator[None]:
    """Turn errors of the local database into Problem, and end cleanly on a signal."""
    try:
        from facerec.local.termination import Terminated, Termination
        from facerec.serving.server.errors import StartError

        with Termination():
            try:
                yield
            except Terminated:
                raise typer.Exit(INTERRUPTED) from None
    except ModuleNotFoundError as error:
        raise Problem(f"{error.name} is not installed: pip install '.[local]' in a clone", "STACK") from None
    except StartError as error:
        raise Problem(str(error), "STACK") from None
