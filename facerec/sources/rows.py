"""Faces one by one on their way into an import, and what is wrong with those that can't go."""

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from facerec.client import FaceBatch
from facerec.client.transfer import DIMENSIONS

BATCH_FACES = 2000

Refuse = Callable[[str, str, str], None]
"""Told of a row that is left out: its place in the source, the field at fault, how to mend it."""


class SourceRefused(Exception):
    """The source as a whole can't be read; the message says why."""


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One face: a vector of shape (128,), and where in the source it stands."""

    place: str
    person_id: str
    encoding: npt.NDArray[np.float32]
    display_name: str = ""
    external_ref: str = ""
    expire_time: datetime.datetime | None = None
    fingerprint: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class SourceBatch:
    """Faces to send together, and where in the source each stands."""

    faces: FaceBatch
    places: Sequence[str]


def vector(values: Any) -> npt.NDArray[np.float32]:
    """A vector of what a source holds for one. Raises ValueError that says what is wrong."""
    try:
        made = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ValueError("an encoding is a list of numbers") from None
    if made.shape != (DIMENSIONS,):
        raise ValueError(f"an encoding has {DIMENSIONS} numbers, and this one has shape {made.shape}")
    with np.errstate(over="ignore"):
        return made.astype(np.float32)


def person_id(value: Any) -> str:
    """A person's id of what a source holds for one: a text, or a whole number. Raises ValueError."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(value)
    raise ValueError("a person's id is a text or a whole number")


def moment(text: str) -> datetime.datetime | None:
    """A time in ISO 8601 with its zone; none of an empty text. Raises ValueError."""
    if not text:
        return None
    time = datetime.datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("an expire_time names its time zone, as 2027-01-31T00:00:00Z does")
    return time


def batches(rows: Iterable[Row], *, skip: int = 0) -> Iterator[SourceBatch]:
    """The rows in batches, but for the first `skip` of them."""
    waiting: list[Row] = []
    for number, row in enumerate(rows):
        if number < skip:
            continue
        waiting.append(row)
        if len(waiting) == BATCH_FACES:
            yield _batch(waiting)
            waiting = []
    if waiting:
        yield _batch(waiting)


def _batch(rows: Sequence[Row]) -> SourceBatch:
    faces = FaceBatch(
        np.stack([row.encoding for row in rows]),
        [row.person_id for row in rows],
        [row.display_name for row in rows],
        [row.external_ref for row in rows],
        [row.expire_time for row in rows],
        [row.fingerprint for row in rows],
    )
    return SourceBatch(faces, [row.place for row in rows])
