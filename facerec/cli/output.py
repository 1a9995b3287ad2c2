"""What the commands print: tables for people, JSON for programs.

Names, ids and references are other people's text, and so is much of an error. All of it goes through a
console of this module, to a terminal and to a pipe alike: escaped by `printable`, and never read as markup.
"""

import dataclasses
import datetime
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from facerec.printable import printable


class _Console(Console):
    """A console that shows every text as `printable` has it: what is printed, and each cell of a table."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Make the text that rich draws."""
        return super().render_str(printable(text), **options)


def console(*, stderr: bool = False) -> Console:
    """A console that prints text as lines. Rich itself follows NO_COLOR and a pipe."""
    made = _Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = 400  # a pipe has no width, and names are not to be cut
    return made


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
    """A table to stdout; numbers stand right."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    lines = [list(row) for row in rows]
    for index, column in enumerate(columns):
        values = [row[index] for row in lines if row[index] != ""]
        numeric = bool(values) and all(isinstance(value, int | float) for value in values)
        made.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    for row in lines:
        made.add_row(*map(_cell, row))
    console().print(made)


def as_json(document: Mapping[str, Any]) -> None:
    """One JSON object to stdout, in ASCII: what is not is escaped, and steers no terminal.

    Dataclasses become objects, arrays lists, times ISO 8601 in UTC, lengths of time seconds.
    """
    json.dump(document, sys.stdout, default=_plain)
    sys.stdout.write("\n")
    sys.stdout.flush()


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


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, datetime.datetime):
        return f"{value.astimezone():%Y-%m-%d %H:%M}"
    return str(value)
