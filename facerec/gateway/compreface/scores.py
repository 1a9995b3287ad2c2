"""Similarities and probabilities of CompreFace's range, as functions of a distance and a detection score.

They are not the numbers that CompreFace's models compute: they have the same range and the same middle.
"""

import math
from typing import Final

from facerec.gateway.similarity import tanh_similarity

_DETECTION_STEEPNESS: Final = 2.0


def similarity(distance: float | None, threshold: float, *, match: bool) -> float:
    """The similarity of two faces: 0 to 1, at least 0.5 exactly where they match.

    Args:
        distance: Their Euclidean distance; None for a caller that sees none, and gets 1 for a match, else 0.
        threshold: The largest distance that is a match.
        match: The decision.
    """
    if distance is None:
        return 1.0 if match else 0.0
    return tanh_similarity(distance, threshold)


def probability(detection_score: float) -> float:
    """How sure the detector is of a face, 0 to 1: 0.5 at its threshold, a score of 0."""
    return round((1 + math.tanh(_DETECTION_STEEPNESS * detection_score)) / 2, 5)
