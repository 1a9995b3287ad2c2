"""The faces of a source, checked one by one, and batches of them to import."""

import dataclasses
import datetime
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facerec.client import FaceBatch
from facerec.contract import DIMENSIONS

BATCH_FACES = 2000
MAX_TEXT_CHARACTERS: Final = 1024
"""More than the matcher accepts, and short enough for BATCH_FACES in a message."""

TEXTS: Final = ("display_name", "external_ref", "expire_time", "fingerprint")
"""Fields of a face besides the person's id and the encoding."""

_FLOATS: Final = struct.Struct(f"={DIMENSIONS}f")

Refuse = Callable[[str, str, str], None]
"""Called for an invalid row, with its location in the source, the invalid field, and what is wrong."""


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One face: a vector, float32 of shape (128,), and its location in the source."""

    location: str
    person_id: str
    encoding: npt.NDArray[np.float32]
    display_name: str = ""
    external_ref: str = ""
    expire_time: datetime.datetime | None = None
    fingerprint: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class SourceBatch:
    """Faces to send in one message, and the location of each in the source."""

    faces: FaceBatch
    locations: Sequence[str]


def face(location: str, encoding: Any, record: Mapping[str, Any], refuse: Refuse) -> Row | None:
    """The face in a record of a source; calls `refuse` and returns None where it is invalid."""
    field = "encoding"
    try:
        values = vector(encoding)
        field = "person_id"
        named = person_id(record.get("person_id"))
        texts = {}
        for field in TEXTS:
            texts[field] = text(record.get(field) or "")
        field = "expire_time"
        expires = parse_time(texts.pop(field))
    except ValueError as error:
        refuse(location, field, str(error))
        return None
    return Row(location, named, values, expire_time=expires, **texts)


def vector(values: Any) -> npt.NDArray[np.float32]:
    """Convert a source's value, an array or a list of numbers, to float32 of shape (128,).

    Nested lists are refused. Raises ValueError.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        if values.shape != (DIMENSIONS,):
            raise ValueError(f"an encoding has {DIMENSIONS} numbers, and this one has shape {values.shape}")
        with np.errstate(over="ignore"):
            return values.astype(np.float32)
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = values.tolist()
    if not isinstance(values, list | tuple):
        raise ValueError("an encoding is a list of numbers")
    if len(values) != DIMENSIONS:
        raise ValueError(f"an encoding has {DIMENSIONS} numbers, and this one has {len(values)}")
    try:
        return np.frombuffer(_FLOATS.pack(*values), np.float32)
    except (struct.error, TypeError, OverflowError):
        raise ValueError("an encoding is a list of numbers from -1000 to 1000") from None


def person_id(value: Any) -> str:
    """Convert a source's value, a text or an integer, to a person's id. Raises ValueError."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return text(str(value))
    raise ValueError("a person's id is a text or a whole number")


def text(value: Any) -> str:
    """Check that a value is a text that can be sent; returns it. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("it is not a text")
    if len(value) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"a text has at most {MAX_TEXT_CHARACTERS} characters, and this one {len(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("it has half a character (a lone surrogate): write it again") from None
    return value


def parse_time(written: str) -> datetime.datetime | None:
    """Parse an ISO 8601 time with a time zone; None for "". Raises ValueError."""
    if not written:
        return None
    try:
        time = datetime.datetime.fromisoformat(written)
        if time.tzinfo is not None:
            return time.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("a time needs a time zone, as in 2027-01-31T00:00:00Z")


def batches(rows: Iterable[Row], *, skip: int = 0) -> Iterator[SourceBatch]:
    """The rows in batches of BATCH_FACES, without the first `skip`."""
    pending: list[Row] = []
    for number, row in enumerate(rows):
        if number < skip:
            continue
        pending.append(row)
        if len(pending) == BATCH_FACES:
            yield _batch(pending)
            pending = []
    if pending:
        yield _batch(pending)


def _batch(rows: Sequence[Row]) -> SourceBatch:
    faces = FaceBatch(
        np.stack([row.encoding for row in rows]),
        [row.person_id for row in rows],
        [row.display_name for row in rows],
        [row.external_ref for row in rows],
        [row.expire_time for row in rows],
        [row.fingerprint for row in rows],
    )
    return SourceBatch(faces, [row.location for row in rows])
