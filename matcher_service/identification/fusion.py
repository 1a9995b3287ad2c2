"""Several photos of one face as one probe.

A face x is as far from photos y_1 ... y_m as the root mean square of its distances from each. With their mean
y and their spread s = (|y_1 - y|² + ... + |y_m - y|²) / m that is sqrt(|x - y|² + s), so photos are compared
and searched for as one vector, by the same statements and indexes as a single photo
(docs/decisions/0025-score-rules.md).
"""

import dataclasses
import math
import uuid
from collections.abc import Sequence

import numpy as np

from matcher_service.domain.faces import Encoding, Probe
from matcher_service.identification.photos import ResolvedProbe, check_space

SEVERAL_SPACES = ""  # no collection's


@dataclasses.dataclass(frozen=True)
class Claimed:
    """A face to compare, of so many photos; `spread` is their mean squared distance from it, 0 of one."""

    face: Encoding | uuid.UUID
    spread: float = 0.0
    photos: int = 1


def fuse(encodings: Sequence[Encoding]) -> Claimed:
    """Make one face of the encodings of several photos; of several spaces it is of none."""
    values = np.array([each.values for each in encodings], np.float64)
    mean = values.mean(axis=0).astype(np.float32)
    spread = float(np.mean(np.sum((values - mean) ** 2, axis=1)))
    spaces = {each.space for each in encodings}
    return Claimed(
        Encoding(mean, spaces.pop() if len(spaces) == 1 else SEVERAL_SPACES), spread, len(encodings)
    )


def check_spaces(probes: Sequence[Probe], resolved: Sequence[ResolvedProbe], space: str) -> None:
    """Raises ModelMismatch for the first probe whose vector is of another space than the collection's."""
    for probe, face in zip(probes, resolved, strict=True):
        check_space(face.face, probe, space)


def remaining_distance(threshold: float, spread: float) -> float | None:
    """How far from the photos' mean a face may be that is within a threshold of them; None where none is."""
    square = threshold * threshold - spread
    return math.sqrt(square) if square >= 0 else None


def fused_distance(distance: float, spread: float, threshold: float) -> float:
    """The distance from the photos of a face that is within `threshold` of them, from that to their mean."""
    # Rounding must not take it past the threshold, which was compared with the other distance.
    return min(math.sqrt(distance * distance + spread), threshold)
