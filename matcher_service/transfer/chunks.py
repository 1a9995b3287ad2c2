"""Chunks of faces in columns, and the checks of their rows."""

import collections
import dataclasses
import datetime
import uuid
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from matcher_service.domain import ids
from matcher_service.domain.attributes import AttributeChange
from matcher_service.domain.content_hash import encoding_ids
from matcher_service.domain.errors import EncodingInvalid, MatcherError, OptionInvalid
from matcher_service.domain.faces import MAX_VALUE

Vectors = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class Chunk:
    """Faces in columns of n items each; encodings of shape (n, 128). None in `expire_times` is never.

    An item of `attributes` is what to set on the face's person, or the error of a row to refuse.
    """

    encodings: Vectors
    person_ids: Sequence[str]
    display_names: Sequence[str]
    external_refs: Sequence[str]
    expire_times: Sequence[datetime.datetime | None]
    fingerprints: Sequence[str]
    attributes: Sequence[AttributeChange | MatcherError]

    def __len__(self) -> int:
        return len(self.person_ids)


@dataclasses.dataclass(frozen=True)
class Refused:
    """A refused row: its index in the import, the invalid column, and how to fix it."""

    row: int
    field: str
    message: str


@dataclasses.dataclass(frozen=True)
class Header:
    """The header of an import call: `first_row` is the index of its first face in the whole import.

    `ignores_policy` accepts faces without a duplicate check, whatever the collection's policy.
    """

    collection_id: str
    space: str
    import_id: str
    first_row: int
    dry_run: bool
    ignores_policy: bool = False


@dataclasses.dataclass(frozen=True)
class Progress:
    """The progress of an import: counts of faces and persons, and the next row."""

    next_row: int = 0
    faces_added: int = 0
    faces_already_there: int = 0
    rows_refused: int = 0
    persons_added: int = 0

    def plus(self, more: "Progress") -> "Progress":
        """The sums of both, with the later next row."""
        return Progress(
            more.next_row,
            self.faces_added + more.faces_added,
            self.faces_already_there + more.faces_already_there,
            self.rows_refused + more.rows_refused,
            self.persons_added + more.persons_added,
        )


@dataclasses.dataclass(frozen=True)
class Checked:
    """The indexes of a chunk's rows to store, with the person and content of each, and the refused rows."""

    indexes: list[int]
    person_ids: list[str]
    contents: list[uuid.UUID]
    refused: list[Refused]

    def people_of_more_than(self, rows: int) -> set[str]:
        """The persons with more than `rows` rows to store."""
        counts = collections.Counter(self.person_ids)
        return {person_id for person_id, count in counts.items() if count > rows}

    def attributes_by_person(self, chunk: Chunk) -> dict[str, AttributeChange]:
        """What to set on the persons of the rows to store, by id: of several rows the last ones count."""
        merged: dict[str, AttributeChange] = {}
        for index, person_id in zip(self.indexes, self.person_ids, strict=True):
            given = chunk.attributes[index]
            if isinstance(given, AttributeChange) and given != AttributeChange():
                before = merged.get(person_id, AttributeChange())
                merged[person_id] = AttributeChange(
                    {**before.labels, **given.labels},
                    metadata=given.metadata or before.metadata,
                    suspended=before.suspended if given.suspended is None else given.suspended,
                )
        return merged

    def refuse(self, items: Collection[int], first_row: int, error: MatcherError) -> None:
        """Refuse some of the rows to store; `items` are their positions in `indexes`."""
        if not items:
            return
        for item in items:
            self.refused.append(Refused(first_row + self.indexes[item], error.field, error.message))
        remaining = sorted(set(range(len(self.indexes))).difference(items))
        self.indexes[:] = [self.indexes[item] for item in remaining]
        self.person_ids[:] = [self.person_ids[item] for item in remaining]
        self.contents[:] = [self.contents[item] for item in remaining]
        self.refused.sort(key=lambda refused: refused.row)


def check(chunk: Chunk, first_row: int, space: str) -> Checked:
    """Check every row. Of equal faces of one person only the first is stored."""
    in_range = np.all(np.abs(chunk.encodings) <= MAX_VALUE, axis=1)
    contents = encoding_ids(space, chunk.encodings)
    now = datetime.datetime.now(datetime.UTC)
    checked = Checked([], [], [], [])
    seen: set[tuple[str, uuid.UUID]] = set()
    for index, content in enumerate(contents):
        try:
            person_id = _check_row(chunk, index, bool(in_range[index]), now)
        except MatcherError as error:
            checked.refused.append(Refused(first_row + index, error.field, error.message))
            continue
        if (person_id, content) not in seen:
            seen.add((person_id, content))
            checked.indexes.append(index)
            checked.person_ids.append(person_id)
            checked.contents.append(content)
    return checked


def _check_row(chunk: Chunk, index: int, in_range: bool, now: datetime.datetime) -> str:
    """Check a row and return its person id. Raises MatcherError naming the invalid column."""
    if not in_range:
        raise EncodingInvalid(
            f"an encoding's values must be numbers from {-MAX_VALUE:g} to {MAX_VALUE:g}", field="encodings"
        )
    ids.free_text(chunk.display_names[index], "display_names")
    ids.free_text(chunk.external_refs[index], "external_refs")
    ids.fingerprint(chunk.fingerprints[index], "fingerprints")
    attributes = chunk.attributes[index]
    if isinstance(attributes, MatcherError):
        raise attributes
    expires = chunk.expire_times[index]
    if expires is not None and expires <= now:
        raise OptionInvalid("the face's expire time must be in the future", field="expire_times")
    return ids.person_id(chunk.person_ids[index], "person_ids")
