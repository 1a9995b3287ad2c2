"""What the commands print: tables for people, JSON for programs.

Names, ids and references are other people's text, and so is much of an error. All of it goes through a
console of this module, to a terminal and to a pipe alike: escaped by `printable`, and never read as markup.
"""

import dataclasses
import datetime
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.segment import Segment, Segments
from rich.style import Style
from rich.text import Text

from facerec.cli.terminal import tables
from facerec.printable import printable


class _Console(Console):
    """A console that shows every text as `printable` has it."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Make the text that rich draws."""
        return super().render_str(printable(text), **options)

    def on_broken_pipe(self) -> None:
        """Go on without the reader, where rich would end with an exit code of its own."""
        _drop(self.file)


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as lines. Rich itself follows NO_COLOR and a pipe."""
    return _Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def line(text: str) -> None:
    """One line to stdout."""
    console().print(text)


def error_line(text: str) -> None:
    """One line to stderr."""
    console(stderr=True).print(text)


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its noun: 1 face, 2 faces."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table to stdout, between empty lines at a terminal, and as a line a value where it is wider."""
    out = console()
    head, lines = tables.layout(columns, list(rows), out.width if out.is_terminal else None)
    bold = Style(bold=True)
    shown = [*(Segment(f"{each}\n", bold) for each in head), *(Segment(f"{each}\n") for each in lines)]
    around = [Segment("\n")] if out.is_terminal else []
    out.print(Segments([*around, *shown, *around]), end="")


def document(content: Mapping[str, Any]) -> str:
    """One JSON object on a line, in ASCII: what is not is escaped, and steers no terminal.

    Dataclasses become objects, arrays lists, times ISO 8601 in UTC, lengths of time seconds.
    """
    return json.dumps(content, default=_plain) + "\n"


def as_json(content: Mapping[str, Any]) -> None:
    """One JSON object to stdout."""
    try:
        sys.stdout.write(document(content))
        sys.stdout.flush()
    except BrokenPipeError:
        _drop(sys.stdout)


def distance(value: float | None) -> str:
    """A distance as text, or that it is not for this caller."""
    return "withheld" if value is None else f"{value:.3f}"


def fields(answer: Any, **more: object) -> dict[str, Any]:
    """A dataclass's fields as a JSON object, behind `more`."""
    return {**more, **{field.name: getattr(answer, field.name) for field in dataclasses.fields(answer)}}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return fields(value)
    if hasattr(value, "tolist"):  # a numpy array, without importing numpy for it
        return value.tolist()
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    return str(value)


def _drop(file: IO[str]) -> None:
    """Lose what is still to be written to a pipe that nobody reads any more, as `head` does.

    The command goes on, so that its exit code is what it would have been: of verify it is the decision.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, file.fileno())
    os.close(nowhere)
