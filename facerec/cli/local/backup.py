"""`facerec backup` and `facerec restore`: the database of `facerec up` in one file, and back."""

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
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; none may be there yet.")],
    data: Data = None,
) -> None:
    """Write the database of `facerec up` to one file.

    `facerec up` may run meanwhile. The file holds biometric templates, names and the audit, of those who are
    erased later too: keep it as you keep passwords, and delete it in time.
    """
    with _stack():
        from facerec.local import backup

        size_bytes = backup.backup(data or data_home(), target)
    output.line(f"{size_bytes:,} bytes written to {target}; keep it as you keep passwords")


def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `facerec backup` wrote.")],
    data: Data = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Erase the database that is there, once the backup's is whole.")
    ] = False,
) -> None:
    """Bring back a database that `facerec backup` wrote.

    The next `facerec up` has it. Whatever the file says is done in the database: restore files of your own
    alone. Who was erased since is there again.
    """
    folder = data or data_home()
    with _stack():
        from facerec.local import backup

        backup.restore(folder, source, replace=replace)
    output.line(f"{source} is restored into {folder}; erase again who was erased since, then `facerec up`")


@contextlib.contextmanager
def _stack() -> Iterator[None]:
    """Turn what keeps the local stack's database from its work into one line; a signal ends that tidily."""
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
