"""Similarities, for interfaces that have them in place of distances.

    similarity = at_threshold ** ((distance / threshold) ** STEEPNESS)

It is 1 at distance 0, `at_threshold` at the threshold that decides, and falls to 0 beyond. It orders faces as
their distances do, says the same as the threshold, and is no probability.
"""

import math
from typing import Final

STEEPNESS: Final = 12.0
"""How fast similarities fall around the threshold. With 0.8 at the threshold, 0.99 is 0.77 times it, 0.9 is
0.94, 0.7 is 1.04, 0.5 is 1.10 and 0.01 is 1.29 times: similarities that callers use as thresholds of their
own, mostly 0.7 to 0.99, stay near the one that was chosen for the collection."""
MAX_DISTANCE: Final = 4.0  # the largest that the matcher takes


def similarity_of(distance: float, threshold: float, *, at_threshold: float) -> float:
    """The similarity of two faces, from 0 to 1.

    Args:
        distance: Their Euclidean distance, at least 0.
        threshold: The distance that decides, at least 0.
        at_threshold: The similarity at that distance, above 0 and below 1.
    """
    if threshold <= 0:
        return 1.0 if distance <= 0 else 0.0
    try:
        return float(at_threshold ** ((distance / threshold) ** STEEPNESS))
    except OverflowError:
        return 0.0


def distance_of(similarity: float, threshold: float, *, at_threshold: float) -> float:
    """The largest distance of faces that are at least so similar, at most MAX_DISTANCE.

    Args:
        similarity: From 0 to 1.
        threshold: The distance that decides, at least 0.
        at_threshold: The similarity at that distance, above 0 and below 1.
    """
    if similarity <= 0:
        return MAX_DISTANCE
    share = math.log(min(similarity, 1.0)) / math.log(at_threshold)
    return min(MAX_DISTANCE, float(threshold * share ** (1 / STEEPNESS)))
