"""Similarities and probabilities of CompreFace's range, as functions of a distance and a detection score.

They are not the numbers that CompreFace's models compute: they have the same range and the same middle.
"""

import math
from typing import Final

STEEPNESS: Final = 10.0
"""How fast a similarity changes with the distance. CompreFace's default model has 5.29 for distances whose
threshold is 1.18, about twice as large."""
_DETECTION_STEEPNESS: Final = 2.0
_DECIMALS: Final = 100_000


def similarity(distance: float | None, threshold: float, *, match: bool) -> float:
    """The similarity of two faces: 0 to 1, at least 0.5 exactly where they match.

    `distance` and `threshold` are Euclidean distances. It is (1 + tanh(10 (threshold - distance))) / 2, the
    form of CompreFace's own, rounded down to 5 decimals, and below 0.5 for any distance over the threshold,
    however little. A caller that sees no distances (None) gets 1 for a match and 0 otherwise.
    """
    if distance is None:
        return 1.0 if match else 0.0
    exact = (1 + math.tanh(STEEPNESS * (threshold - distance))) / 2
    rounded = math.floor(exact * _DECIMALS) / _DECIMALS
    return rounded if distance <= threshold else min(rounded, 0.5 - 1 / _DECIMALS)


def probability(detection_score: float) -> float:
    """How sure the detector is of a face, 0 to 1: 0.5 at its threshold, a score of 0."""
    return round((1 + math.tanh(_DETECTION_STEEPNESS * detection_score)) / 2, 5)
