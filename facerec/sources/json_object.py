"""Reads encodings from one JSON object: the vectors of each person, or columns of encodings and names."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facerec.sources import fields
from facerec.sources.budget import Budget
from facerec.sources.errors import SourceRefused
from facerec.sources.json_items import JsonParser
from facerec.sources.rows import Refuse, Row, face, vector
from facerec.sources.source_file import SourceFile

_ENCODINGS: Final = frozenset(encodings for encodings, _ in fields.PAIRS)
_NAMES: Final = frozenset(names for _, names in fields.PAIRS)
_HINT: Final = "write a list of objects with person_id and encoding"


def rows(file: SourceFile, refuse: Refuse) -> Iterator[Row]:
    """The faces in an object, whose first key shows its form. Raises SourceRefused."""
    items = JsonParser(file)
    members = items.members()
    first = next(members)
    if first in _ENCODINGS | _NAMES:
        yield from _Columns(items, Budget(file.size), refuse).rows(first, members)
    else:
        yield from _people_rows(first, members, items, refuse)
    items.end("object")


def _people_rows(first: str, members: Iterator[str], items: JsonParser, refuse: Refuse) -> Iterator[Row]:
    number = 0
    person: str | None = first
    while person is not None:
        for encoding in _of_person(person, items):
            number += 1
            if row := face(f"face {number}", encoding, {"person_id": person}, refuse):
                yield row
        person = next(members, None)


def _of_person(person: str, items: JsonParser) -> Iterator[Any]:
    if items.is_nested():
        for _, encoding in items.elements(""):
            yield encoding
    elif items.next_character() == "[":
        yield items.value(person[:80])
    else:
        raise SourceRefused(f"{person[:80]} is not a list of numbers: {_HINT}")


class _Columns:
    """Columns of encodings and names, kept in memory (512 bytes an encoding): either may come first."""

    def __init__(self, items: JsonParser, budget: Budget, refuse: Refuse) -> None:
        self._items = items
        self._budget = budget
        self._refuse = refuse
        self._encodings: list[npt.NDArray[np.float32] | None] | None = None
        self._names: list[Any] | None = None

    def rows(self, first: str, members: Iterator[str]) -> Iterator[Row]:
        """The faces of the columns. Raises SourceRefused where one is missing, or there are two of a kind."""
        key: str | None = first
        while key is not None:
            self._read(key)
            key = next(members, None)
        encodings, names = self._encodings, self._names
        if encodings is None or names is None:
            raise SourceRefused(f"encodings or names are missing: {_HINT}")
        if len(encodings) != len(names):
            raise SourceRefused(
                f"there are {len(encodings)} encodings and {len(names)} names: give each face one"
            )
        for number, (encoding, name) in enumerate(zip(encodings, names, strict=True), 1):
            if encoding is not None and (
                row := face(f"face {number}", encoding, {"person_id": name}, self._refuse)
            ):
                yield row

    def _read(self, key: str) -> None:
        if key in _ENCODINGS and self._encodings is None:
            self._encodings = [self._vector(location, value) for location, value in self._column(key)]
        elif key in _NAMES and self._names is None:
            self._names = [value if isinstance(value, str | int) else None for _, value in self._column(key)]
        elif key in _ENCODINGS | _NAMES:
            raise SourceRefused(f"there are two of {key}: give each once")
        else:
            self._items.value(key[:80])  # another key, which is skipped

    def _column(self, key: str) -> Iterator[tuple[str, Any]]:
        for location, value in self._items.elements(f"{key} is a list"):
            self._budget.spend_rows(1)
            yield location, value

    def _vector(self, location: str, value: Any) -> npt.NDArray[np.float32] | None:
        try:
            return vector(value)
        except ValueError as error:
            self._refuse(location, "encoding", str(error))
            return None
