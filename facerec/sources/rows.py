"""The faces of a source, checked one by one, and batches of them to import."""

import dataclasses
import datetime
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facerec.client import FaceBatch
from facerec.client.attributes import metadata_struct
from facerec.contract import DEFAULT_SPACE, DIMENSIONS
from facerec.errors import FacerecError
from facerec.sources.json_texts import decode

BATCH_FACES = 2000
MAX_TEXT_CHARACTERS: Final = 1024
"""More than the matcher accepts, and short enough for BATCH_FACES in a message."""

TEXTS: Final = ("display_name", "external_ref", "expire_time", "fingerprint")
"""Fields of a face besides the person's id and the encoding."""

ATTRIBUTES: Final = ("labels", "metadata", "suspended")
"""Fields of a face's person: JSON objects, or JSON texts of them; of the last, true and false."""

MAX_ATTRIBUTE_BYTES: Final = 2**15
"""Of a person's attributes as JSON: more than the matcher accepts."""

BATCH_ATTRIBUTE_BYTES: Final = 3 * 2**15
"""Of the attributes as JSON after which a batch ends, since a message may have 400,000 fields."""

_FLOATS: Final = struct.Struct(f"={DIMENSIONS}f")

Refuse = Callable[[str, str, str], None]
"""Called for an invalid row, with its location in the source, the invalid field, and what is wrong."""


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One face: a vector, float32 of shape (128,), and its location in the source.

    `space` is the space of vectors in this form, the same in all rows of a source.
    """

    location: str
    person_id: str
    encoding: npt.NDArray[np.float32]
    display_name: str = ""
    external_ref: str = ""
    expire_time: datetime.datetime | None = None
    fingerprint: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    attribute_bytes: int = 0
    space: str = DEFAULT_SPACE
    suspended: bool | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class SourceBatch:
    """Faces to send in one message, the location of each in the source, and the source's space."""

    faces: FaceBatch
    locations: Sequence[str]
    space: str


def face(
    location: str, encoding: Any, record: Mapping[str, Any], refuse: Refuse, *, space: str = DEFAULT_SPACE
) -> Row | None:
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
        field = "labels"
        labels = attribute(record.get(field))
        if not all(isinstance(value, str) for value in labels.values()):
            raise ValueError("a label's value is a text")
        field = "metadata"
        metadata = attribute(record.get(field))
        size = attribute_bytes(labels, metadata)
        field = "suspended"
        suspended = flag(record.get(field))
    except ValueError as error:
        refuse(location, field, str(error))
        return None
    return Row(
        location,
        named,
        values,
        expire_time=expires,
        **texts,
        labels=labels,
        metadata=metadata,
        attribute_bytes=size,
        space=space,
        suspended=suspended,
    )


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


def attribute(value: Any) -> dict[str, Any]:
    """Convert a source's value, an object or a JSON text of one, to a dict. Raises ValueError."""
    if not value:
        return {}
    found = decode(value) if isinstance(value, str) else value
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ValueError("it is not a JSON object")
    return found


def flag(value: Any) -> bool | None:
    """Convert a source's value, a boolean or its JSON text, None for none. Raises ValueError."""
    flags = {"none": None, "": None, "false": False, "true": True}
    written = str(value).lower() if isinstance(value, bool | str | None) else "?"
    if written in flags:
        return flags[written]
    raise ValueError("it is neither true nor false")


def attribute_bytes(labels: Mapping[str, str], metadata: Mapping[str, Any]) -> int:
    """The bytes of attributes as JSON. Raises ValueError for what cannot be sent."""
    if not labels and not metadata:
        return 0
    try:
        metadata_struct(metadata)
        size = len(json.dumps([labels, metadata], ensure_ascii=False, separators=(",", ":")).encode())
    except (FacerecError, UnicodeEncodeError, RecursionError):
        raise ValueError("it holds what cannot be sent: numbers, texts, lists and objects can") from None
    if size > MAX_ATTRIBUTE_BYTES:
        raise ValueError(f"a person has at most {MAX_ATTRIBUTE_BYTES} bytes of labels and metadata")
    return size


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
    """The rows in batches of BATCH_FACES, fewer with many attributes, without the first `skip`."""
    pending: list[Row] = []
    attributes = 0
    for number, row in enumerate(rows):
        if number < skip:
            continue
        pending.append(row)
        attributes += row.attribute_bytes
        if len(pending) == BATCH_FACES or attributes > BATCH_ATTRIBUTE_BYTES:
            yield _batch(pending)
            pending, attributes = [], 0
    if pending:
        yield _batch(pending)


def _batch(rows: Sequence[Row]) -> SourceBatch:
    with_attributes = any(row.attribute_bytes for row in rows)
    with_suspended = any(row.suspended is not None for row in rows)
    faces = FaceBatch(
        np.stack([row.encoding for row in rows]),
        [row.person_id for row in rows],
        [row.display_name for row in rows],
        [row.external_ref for row in rows],
        [row.expire_time for row in rows],
        [row.fingerprint for row in rows],
        labels=[row.labels for row in rows] if with_attributes else (),
        metadata=[row.metadata for row in rows] if with_attributes else (),
        suspended=[row.suspended for row in rows] if with_suspended else (),
    )
    return SourceBatch(faces, [row.location for row in rows], rows[0].space)
