"""The output of commands: tables for people, JSON for programs.

Names, ids, references and parts of errors are untrusted text. All text is printed by a console of this
module, to a terminal and to a pipe alike, which escapes it with `printable` and never parses it as markup.
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
    """A console that escapes every text with `printable`."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Make the text that rich draws."""
        return super().render_str(printable(text), **options)

    def on_broken_pipe(self) -> None:
        """Continue without the reader: rich would exit with a code of its own."""
        _drop(self.file)


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as lines. Rich itself disables colors for NO_COLOR and for a pipe."""
    return _Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def line(text: str) -> None:
    """Print one line to stdout."""
    console().print(text)


def error_line(text: str) -> None:
    """Print one line to stderr."""
    console(stderr=True).print(text)


def counted(number: int, one: str, many: str = "") -> str:
    """A number and its noun: 1 face, 2 faces."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table to stdout; on a terminal between empty lines, and as records if it is too wide."""
    out = console()
    head, lines = tables.layout(columns, list(rows), out.width if out.is_terminal else None)
    bold = Style(bold=True)
    shown = [*(Segment(f"{each}\n", bold) for each in head), *(Segment(f"{each}\n") for each in lines)]
    around = [Segment("\n")] if out.is_terminal else []
    out.print(Segments([*around, *shown, *around]), end="")


def document(content: Mapping[str, Any]) -> str:
    """One JSON object on a line, in ASCII; other characters are escaped, so that none controls the terminal.

    Dataclasses become objects, arrays lists, times ISO 8601 in UTC, durations seconds.
    """
    return json.dumps(content, default=_plain) + "\n"


def as_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object to stdout."""
    try:
        sys.stdout.write(document(content))
        sys.stdout.flush()
    except BrokenPipeError:
        _drop(sys.stdout)


def distance(value: float | None) -> str:
    """A distance as text; `withheld` if the key may not see it."""
    return "withheld" if value is None else f"{value:.3f}"


def fields(answer: Any, **more: object) -> dict[str, Any]:
    """A dataclass's fields as a JSON object, after those of `more`."""
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
    """Discard further output to a pipe whose reader has left, as `head` does.

    The command continues, so that its exit code, which is the decision for verify, stays the same.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, file.fileno())
    os.close(nowhere)
