"""Draws the people of a calibration at random, and the distances of their own faces."""

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from facerec.contract import DIMENSIONS
from matcher_service.calibration.error_rates import BIN, BINS, Counts
from matcher_service.postgres.session import Session
from matcher_service.postgres.vectors import read_vectors

PAIRS_A_PERSON: Final = 10  # so that a person with many photos weighs no more than others
GENUINE_PERSONS: Final = 4000  # at most: more would hardly narrow the intervals; one statement measures them
VECTORS_A_STATEMENT: Final = 1000
_EVERYBODY: Final = frozenset({"group_label", "group_value"})


@dataclasses.dataclass(frozen=True)
class Group:
    """The people with a value of a label; with None those without the label."""

    label: str
    value: str | None

    @property
    def conditions(self) -> dict[str, Any]:
        """The parameters of draw_impostors and measure_genuine."""
        return {"group_label": self.label, "group_value": self.value}


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """One face of each of the drawn people: ids, persons' keys, and vectors, float32 of shape (n, 128)."""

    face_ids: Sequence[uuid.UUID]
    person_keys: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]


async def draw(session: Session, persons: int, group: Group | None = None) -> Drawn:
    """A random face of each of so many random people, of a group or of everybody."""
    rows = await session.rows("draw_impostors", max_persons=persons, **_conditions(group))
    wanted = [row["face_id"] for row in rows]
    vectors = np.empty((len(wanted), DIMENSIONS), np.float32)
    keys = np.empty(len(wanted), np.int64)
    drawn: list[uuid.UUID] = []
    for first in range(0, len(wanted), VECTORS_A_STATEMENT):
        some = wanted[first : first + VECTORS_A_STATEMENT]
        rows = await session.rows("read_drawn", face_ids=some)
        vectors[len(drawn) : len(drawn) + len(rows)] = read_vectors([row["encoding"] for row in rows])
        keys[len(drawn) : len(drawn) + len(rows)] = [row["person_key"] for row in rows]
        drawn += [row["face_id"] for row in rows]
    return Drawn(drawn, keys[: len(drawn)], vectors[: len(drawn)])


async def measure_genuine(session: Session, persons: int, group: Group | None = None) -> Counts:
    """The pairs of their own faces of so many random people, as in `error_rates.Sample.genuine`."""
    rows = await session.rows(
        "measure_genuine",
        max_persons=persons,
        max_pairs=PAIRS_A_PERSON,
        bin_width=BIN,
        bins=BINS,
        **_conditions(group),
    )
    index: dict[int, int] = {}
    for row in rows:
        index.setdefault(row["person_key"], len(index))
    counts = np.zeros((len(index), BINS), np.int64)
    for row in rows:
        counts[index[row["person_key"]], row["bin"]] = row["pairs"]
    return counts


def _conditions(group: Group | None) -> dict[str, Any]:
    return group.conditions if group else {"without": _EVERYBODY}
