"""Distances within a system's space, to our space, and across both, with the error rates at a threshold."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from tests.benchmarks.encoder.pictures import Photo
from tests.benchmarks.other_systems.systems import Face, Faces, Vector

THRESHOLD: Final = 0.6
SAME_FACE: Final = 0.3
"""Of two boxes: the area that they share over that which they cover; detectors differ in what a box holds."""


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """One face by our default space and by another system; `person` is empty where it is not known."""

    person: str
    ours: Vector
    theirs: Vector


def matched(photos: Sequence[Photo], ours: Faces, theirs: Faces) -> list[Pair]:
    """The faces that both found, of photos in which we find one face."""
    found = []
    for photo in photos:
        if len(ours[photo.name]) != 1:
            continue
        face = ours[photo.name][0]
        near = max(theirs.get(photo.name, ()), key=lambda other: _shared(face, other), default=None)
        if near is not None and _shared(face, near) >= SAME_FACE:
            found.append(Pair(photo.person, face.vector, near.vector))
    return found


def of_one_face(pairs: Sequence[Pair]) -> list[object]:
    """A row: how far our and their vector of one face lie apart."""
    return [len(pairs), *_spread(float(np.linalg.norm(pair.ours - pair.theirs)) for pair in pairs)]


def within(vectors: Sequence[tuple[str, Vector]]) -> list[object]:
    """A row of the distances of two photos in one space, each a vector with its person."""
    pairs = list(itertools.combinations([each for each in vectors if each[0]], 2))
    return _rates((a[0] == b[0], float(np.linalg.norm(a[1] - b[1]))) for a, b in pairs)


def across(pairs: Sequence[Pair]) -> list[object]:
    """A row of the distances of two photos, one by our space and the other by theirs."""
    named = [pair for pair in pairs if pair.person]
    return _rates(
        (a.person == b.person, float(np.linalg.norm(a.ours - b.theirs)))
        for a, b in itertools.permutations(named, 2)
    )


def _rates(measured: Iterable[tuple[bool, float]]) -> list[object]:
    found = list(measured)
    same = np.array([distance for is_same, distance in found if is_same])
    other = np.array([distance for is_same, distance in found if not is_same])
    return [
        *_spread(same),
        f"{np.min(other):.2f}",
        f"{np.median(other):.2f}",
        f"{int(np.sum(same > THRESHOLD))} of {len(same):,}",
        f"{int(np.sum(other <= THRESHOLD))} of {len(other):,}",
    ]


def _spread(values: Iterable[float]) -> list[str]:
    found = np.array(list(values))
    return [
        f"{number:.2g}" if number < 0.01 else f"{number:.2f}"
        for number in (np.median(found), np.quantile(found, 0.95), np.max(found))
    ]


def _shared(one: Face, other: Face) -> float:
    left, top = max(one.box[0], other.box[0]), max(one.box[1], other.box[1])
    right, bottom = min(one.box[2], other.box[2]), min(one.box[3], other.box[3])
    area = max(0.0, right - left) * max(0.0, bottom - top)
    return area / (_area(one) + _area(other) - area)


def _area(face: Face) -> float:
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)
