"""Labels as arguments: KEY=VALUE."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from facerec.cli.terminal.errors import Problem

LabelFilter = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="KEY=VALUE",
        help="Only people with this label; several values of a key: any of them. Repeatable.",
    ),
]


def pairs(given: Iterable[str]) -> list[tuple[str, str]]:
    """Split labels into keys and values. Raises Problem for one without `=`."""
    split = [label.partition("=") for label in given]
    for key, equals, _ in split:
        if not equals:
            raise Problem(f"{key} is no label: write KEY=VALUE, as in site=berlin", "USAGE")
    return [(key, value) for key, _, value in split]


def label_values(given: Iterable[str]) -> dict[str, str]:
    """Labels to set. Raises Problem for a key that is given twice."""
    split = pairs(given)
    labels = dict(split)
    if len(labels) != len(split):
        raise Problem("a label is given twice: give each key one value", "USAGE")
    return labels


def label_filter(given: Iterable[str] | None) -> dict[str, list[str]] | None:
    """Labels to search by: the values of each key. Raises Problem."""
    wanted: dict[str, list[str]] = {}
    for key, value in pairs(given or ()):
        wanted.setdefault(key, []).append(value)
    return wanted or None


def label_text(labels: Mapping[str, str]) -> str:
    """Labels on a line, by key."""
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
