"""The nearest person according to numpy, the reference for every decision."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.benchmarks.vectors import Faces, Keys, Vectors

PROBES, FACES = 256, 32768  # the size of a block that is multiplied at once
# A float32 product of norms about 1.4 errs by far less: whatever is so near to the least is measured again.
SLACK = 1e-4


@dataclass(frozen=True)
class Nearest:
    """The nearest person of each probe, and the distance in float64."""

    people: Keys
    distances: npt.NDArray[np.float64]

    def decisions(self, threshold: float) -> list[int | None]:
        """Who each probe is, or nobody."""
        pairs = zip(self.people, self.distances, strict=True)
        return [int(person) if distance <= threshold else None for person, distance in pairs]


def scan(encodings: Vectors, face: Vectors) -> Vectors:
    """The distances as face_recognition's face_distance computes them."""
    return np.asarray(np.linalg.norm(encodings - face, axis=1))


def nearest(faces: Faces, probes: Vectors) -> Nearest:
    """Find each probe's nearest face.

    A matrix product in float32 says which faces may be it, and those few are measured in float64 as `scan`
    measures: the answer is the exact one and comes a hundred times sooner.
    """
    found = Nearest(np.full(len(probes), -1, np.int64), np.full(len(probes), np.inf))
    squares = np.einsum("ij,ij->i", faces.encodings, faces.encodings)
    for start in range(0, len(probes), PROBES):
        some = probes[start : start + PROBES]
        least = np.full(len(some), np.inf, np.float32)
        for first in range(0, len(squares), FACES):
            rows = slice(first, first + FACES)
            near = some @ faces.encodings[rows].T
            np.subtract(squares[rows], 2 * near, out=near)
            here = near.min(axis=1)
            for probe in np.flatnonzero(here <= least + SLACK):
                least[probe] = min(least[probe], here[probe])
                candidates = first + np.flatnonzero(near[probe] <= least[probe] + SLACK)
                _measure(faces, candidates, some[probe], found, start + int(probe))
    return found


def _measure(faces: Faces, candidates: Keys, probe: Vectors, found: Nearest, index: int) -> None:
    if not len(candidates):
        return
    exact = np.linalg.norm(faces.encodings[candidates].astype(np.float64) - probe.astype(np.float64), axis=1)
    best = int(exact.argmin())
    if exact[best] < found.distances[index]:
        found.distances[index] = exact[best]
        found.people[index] = faces.people[candidates[best]]
