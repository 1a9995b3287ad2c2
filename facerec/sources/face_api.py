"""Reads the descriptors that face-api.js writes as JSON.

LabeledFaceDescriptors is an object of `label` and `descriptors`; FaceMatcher one of `labeledDescriptors`, a
list of these. A descriptor is a list of numbers, or a Float32Array as JSON.stringify writes it, an object
from "0" to "127". The names with an underscore are of objects that were written field by field.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facerec.sources import spaces
from facerec.sources.budget import Budget
from facerec.sources.errors import SourceRefused
from facerec.sources.json_items import JsonParser
from facerec.sources.rows import Refuse, Row, face, vector
from facerec.sources.source_file import SourceFile

_LABELS: Final = frozenset({"label", "_label"})
_DESCRIPTORS: Final = frozenset({"descriptors", "_descriptors"})
_PEOPLE: Final = frozenset({"labeledDescriptors", "_labeledDescriptors"})
_RULE: Final = "descriptors is a list of lists of numbers"

Vector = npt.NDArray[np.float32]


def is_layout(file: SourceFile) -> bool:
    """Whether the first object of a JSON file has descriptors, as no other form of ours has."""
    parser = JsonParser(file)
    try:
        if parser.next_character() == "[":
            parser.expect("[", "")
        if parser.next_character() != "{":
            return False
        for key in parser.members():
            if key in _DESCRIPTORS | _PEOPLE:
                return True
            if parser.next_character() in ("[", "{"):
                return False
            parser.value(key[:80])
        return False
    except SourceRefused:
        return False  # the reader of the other forms says what is wrong
    finally:
        file.stream.seek(0)


def rows(file: SourceFile, refuse: Refuse) -> Iterator[Row]:
    """The faces of an array of people, of one matcher or person, or of JSON lines of people."""
    parser = JsonParser(file)
    reader = _Reader(parser, file, refuse)
    if parser.next_character() == "[":
        yield from reader.people()
        parser.end("array")
        return
    number = 0
    while parser.next_character():
        number += 1
        yield from reader.person_or_people(f"person {number}")
    file.check_unchanged()


class _Reader:
    """Numbers the faces of a file, from 1. Its methods raise SourceRefused."""

    def __init__(self, parser: JsonParser, file: SourceFile, refuse: Refuse) -> None:
        self._parser = parser
        self._file = file
        self._refuse = refuse
        self._faces = 0
        self._budget: Budget | None = None

    def people(self) -> Iterator[Row]:
        """The faces of the array of people that comes next."""
        for number in self._parser.items("an array begins with [", "person"):
            location = f"person {number}"
            if self._parser.next_character() == "{":
                yield from self.person_or_people(location, allows_people=False)
            else:
                self._parser.value(location)
                self._refuse(location, "", "it is not a JSON object")

    def person_or_people(self, location: str, *, allows_people: bool = True) -> Iterator[Row]:
        """The faces of the object that comes next; those before its label are kept in memory."""
        label: Any = None
        is_known = False
        early: list[tuple[str, Vector]] = []
        for key in self._parser.members():
            if key in _LABELS and label is not None:
                raise SourceRefused("it has a label twice: write each person once", location=location)
            is_known |= key in _DESCRIPTORS or (key in _PEOPLE and allows_people)
            if key in _LABELS:
                label = self._parser.value(key)
            elif key in _PEOPLE and allows_people:
                yield from self.people()
            elif key not in _DESCRIPTORS:
                self._parser.value(key[:80])
            elif label is None:
                early.extend(self._early())
            else:
                for face_location, value in self._descriptors():
                    yield from self._face(face_location, label, value)
        for face_location, values in early:
            yield from self._face(face_location, label, values)
        if not is_known:
            self._refuse(location, "descriptors", "it has none")

    def _early(self) -> Iterator[tuple[str, Vector]]:
        self._budget = self._budget or Budget(self._file.size)
        for location, value in self._descriptors():
            self._budget.spend_rows(1)
            try:
                yield location, vector(value)
            except ValueError as error:
                self._refuse(location, "encoding", str(error))

    def _descriptors(self) -> Iterator[tuple[str, Any]]:
        for _ in self._parser.items(_RULE):
            self._faces += 1
            location = f"face {self._faces}"
            yield location, _numbers(self._parser.value(location))

    def _face(self, location: str, label: Any, value: Any) -> Iterator[Row]:
        if row := face(location, value, {"person_id": label}, self._refuse, space=spaces.FACE_API):
            yield row


def _numbers(value: Any) -> Any:
    """A descriptor as a list; a value of another form is returned unchanged."""
    return [value.get(str(at)) for at in range(len(value))] if isinstance(value, dict) else value
