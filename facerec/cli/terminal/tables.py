"""Formats rows as text: as a table if it fits the terminal, otherwise as one record per row.

Nothing is truncated, as a truncated id or number would be a wrong one.
"""

import datetime
from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.cells import cell_len

from facerec.cli.terminal.times import format_time
from facerec.printable import printable

GAP = "  "


def layout(
    columns: Sequence[str], rows: Sequence[Sequence[object]], max_cells: int | None
) -> tuple[list[str], list[str]]:
    """The header lines of a table, and the lines of its rows; columns of numbers are right-aligned.

    `max_cells` is the width of the terminal, None for any width. Every text is escaped by `printable`.
    """
    heads = [printable(column) for column in columns]
    cells = [[printable(_cell(value)) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    table_cells = sum(widths) + len(GAP) * (len(widths) - 1)
    if max_cells is not None and table_cells > max_cells:
        return [], list(_records(heads, cells))
    numeric = [_is_numeric([row[index] for row in rows]) for index in range(len(heads))]
    lines = [GAP.join(map(_padded, row, widths, numeric)).rstrip(" ") for row in [heads, *cells]]
    return [lines[0], "-" * table_cells], lines[1:]


def format_number(value: float, digits: int = 2) -> str:
    """A number with `digits` significant digits, without an exponent: 170, 0.00000025."""
    return f"{Decimal(f'{value:.{digits}g}'):f}"


def _records(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """A line per value that is not empty, and an empty line between rows."""
    width = max(map(cell_len, heads))
    for number, row in enumerate(cells):
        if number:
            yield ""
        for head, value in zip(heads, row, strict=True):
            if value:
                yield f"{_padded(head, width, False)}{GAP}{value}"


def _padded(text: str, width: int, right: bool) -> str:
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding


def _is_numeric(values: Sequence[object]) -> bool:
    filled = [value for value in values if value != ""]
    return bool(filled) and all(isinstance(value, int | float) for value in filled)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, datetime.datetime):
        return format_time(value)
    return str(value)
