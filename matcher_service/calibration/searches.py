"""Measures FPIR and FNIR: searches for drawn people among all faces of a collection."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from matcher_service.calibration.drawing import VECTORS_A_STATEMENT, Drawn
from matcher_service.calibration.search_rates import (
    TARGET_FPIRS,
    Distances,
    Keys,
    NearestFaces,
    SearchPoint,
    needed_probes,
    search_point,
)
from matcher_service.calibration.support import Target
from matcher_service.postgres.session import Session
from matcher_service.postgres.vectors import read_vectors

MAX_PROBES: Final = needed_probes(min(TARGET_FPIRS))
MAX_COMPARISONS: Final = 10**10
"""Probes times faces of a calibration: two minutes of a processor's core."""

_ROWS: Final = 500  # probes compared at once: 4 MB of distances
_FIRST = (-(2**63), uuid.UUID(int=0))


class NearestSearch:
    """Finds the nearest face of another person for each probe, a part of the collection at a time."""

    def __init__(self, keys: Keys, probes: npt.NDArray[np.float32]) -> None:
        """Take the persons' keys, shape (n,), and the probes, shape (n, 128)."""
        self._keys = keys
        self._probes = probes.astype(np.float64)
        self._norms = np.einsum("ij,ij->i", self._probes, self._probes)
        self._squares = np.full(len(keys), np.inf)
        self.other_keys: Keys = np.full(len(keys), -1, np.int64)

    @property
    def distances(self) -> Distances:
        """The distance of the nearest so far; infinite for none."""
        found: Distances = np.sqrt(self._squares)
        return found

    def compare(self, keys: Keys, faces: npt.NDArray[np.float32]) -> None:
        """Compare all probes with faces, shape (m, 128), which are in the order of their persons' keys."""
        columns = faces.astype(np.float64)
        norms = np.einsum("ij,ij->i", columns, columns)
        starts = np.searchsorted(keys, self._keys, side="left")
        ends = np.searchsorted(keys, self._keys, side="right")
        for first in range(0, len(self._keys), _ROWS):
            rows = slice(first, first + _ROWS)
            squares = self._probes[rows] @ columns.T
            squares *= -2
            squares += norms
            for row in np.flatnonzero(starts[rows] < ends[rows]).tolist():
                squares[row, starts[first + row] : ends[first + row]] = np.inf  # the probe's own person
            nearest = squares.argmin(axis=1)
            found = np.maximum(squares[np.arange(len(nearest)), nearest] + self._norms[rows], 0)
            nearer = np.flatnonzero(found < self._squares[rows])
            self._squares[first + nearer] = found[nearer]
            self.other_keys[first + nearer] = keys[nearest[nearer]]


async def measure_searches(
    session: Session, drawn: Drawn, faces: int, target: Target, wait: Callable[[], Awaitable[None]]
) -> list[SearchPoint]:
    """The threshold of each of TARGET_FPIRS, for drawn people as probes of a collection of so many faces.

    Reads all faces, a thousand at a time, if the probes support one of the targets; `wait` is called before
    each.
    """
    probes = min(len(drawn.face_ids), MAX_PROBES, MAX_COMPARISONS // max(1, faces))
    if all(probes < needed_probes(each) for each in TARGET_FPIRS):
        return [_unsupported(each, len(drawn.face_ids), faces, target) for each in TARGET_FPIRS]
    keys = drawn.person_keys[:probes]
    search = NearestSearch(keys, drawn.vectors[:probes])
    after_key, after_content = _FIRST
    while rows := await session.rows(
        "read_faces_in_order",
        after_key=after_key,
        after_content=after_content,
        max_faces=VECTORS_A_STATEMENT,
    ):
        after_key, after_content = rows[-1]["person_key"], rows[-1]["content_id"]
        page = np.array([row["person_key"] for row in rows], np.int64)
        await wait()
        await asyncio.to_thread(search.compare, page, read_vectors([row["encoding"] for row in rows]))
    own = await _own_distances(session, drawn.face_ids[:probes], wait)
    found = NearestFaces(keys, search.distances, search.other_keys, own)
    return [
        search_point(found, each)
        if probes >= needed_probes(each)
        else _unsupported(each, len(drawn.face_ids), faces, target)
        for each in TARGET_FPIRS
    ]


async def _own_distances(
    session: Session, face_ids: Sequence[uuid.UUID], wait: Callable[[], Awaitable[None]]
) -> Distances:
    """The distance of each face from the nearest other one of its person; infinite where there is none."""
    found: dict[uuid.UUID, float] = {}
    for first in range(0, len(face_ids), VECTORS_A_STATEMENT):
        await wait()
        some = face_ids[first : first + VECTORS_A_STATEMENT]
        rows = await session.rows("measure_own_faces", face_ids=some)
        found.update((row["face_id"], row["distance"]) for row in rows)
    return np.array([found.get(face_id, np.inf) for face_id in face_ids], np.float64)


def _unsupported(target_fpir: float, persons: int, faces: int, target: Target) -> SearchPoint:
    """What it takes to measure a target."""
    needed = needed_probes(target_fpir)
    if needed * faces > MAX_COMPARISONS:
        advice = (
            f"at most {MAX_COMPARISONS // needed} faces can be searched for so many: measure on a smaller "
            "collection"
        )
    elif persons == target.persons:
        advice = f"set max_persons to {needed}, if the collection has as many"
    else:
        advice = "enroll more people"
    return SearchPoint(
        target_fpir,
        needs=f"a false positive identification rate of {target_fpir:g} requires {needed} persons as probes; "
        f"{persons} were drawn: {advice}",
    )
