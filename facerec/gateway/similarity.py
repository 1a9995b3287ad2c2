"""Similarities, for interfaces that have them in place of distances.

Two formulas, since the callers of each interface have thresholds of their own: CompreFace's compare with 0.5,
the middle of its tanh; Rekognition's have percent, of which 80 decides, and a search takes the inverse. Both
order faces as their distances do and say the same as the threshold; neither is a probability. Distances are
Euclidean, and a threshold is the largest distance that is a match.
"""

import math
from typing import Final

MAX_DISTANCE: Final = 4.0  # the largest that the matcher takes

POWER_STEEPNESS: Final = 12.0
"""How fast `power_similarity` falls around the threshold. With 0.8 at the threshold, 0.99 is 0.77 times it,
0.9 is 0.94, 0.7 is 1.04, 0.5 is 1.10 and 0.01 is 1.29 times: similarities that callers use as thresholds of
their own, mostly 0.7 to 0.99, stay near the one that was chosen for the collection."""

TANH_STEEPNESS: Final = 10.0
"""How fast `tanh_similarity` changes with the distance. CompreFace's default model has 5.29 for distances
whose threshold is 1.18, about twice as large."""
_DECIMALS: Final = 100_000


def power_similarity(distance: float, threshold: float, *, at_threshold: float) -> float:
    """The similarity of two faces, from 0 to 1: at_threshold ** ((distance / threshold) ** POWER_STEEPNESS).

    It is 1 at distance 0, and falls to 0 beyond the threshold.

    Args:
        distance: Their distance, at least 0.
        threshold: The distance that decides, at least 0.
        at_threshold: The similarity at that distance, above 0 and below 1.
    """
    if threshold <= 0:
        return 1.0 if distance <= 0 else 0.0
    try:
        return float(at_threshold ** ((distance / threshold) ** POWER_STEEPNESS))
    except OverflowError:
        return 0.0


def power_distance(similarity: float, threshold: float, *, at_threshold: float) -> float:
    """The largest distance with at least that `power_similarity`, at most MAX_DISTANCE.

    Args:
        similarity: From 0 to 1.
        threshold: The distance that decides, at least 0.
        at_threshold: The similarity at that distance, above 0 and below 1.
    """
    if similarity <= 0:
        return MAX_DISTANCE
    share = math.log(min(similarity, 1.0)) / math.log(at_threshold)
    return min(MAX_DISTANCE, float(threshold * share ** (1 / POWER_STEEPNESS)))


def tanh_similarity(distance: float, threshold: float) -> float:
    """The similarity of two faces, from 0 to 1: (1 + tanh(TANH_STEEPNESS (threshold - distance))) / 2.

    It is rounded down to 5 decimals, and at least 0.5 exactly where the faces match: it is below for any
    distance over the threshold, however little.

    Args:
        distance: Their distance, at least 0.
        threshold: The distance that decides, at least 0.
    """
    exact = (1 + math.tanh(TANH_STEEPNESS * (threshold - distance))) / 2
    rounded = math.floor(exact * _DECIMALS) / _DECIMALS
    return rounded if distance <= threshold else min(rounded, 0.5 - 1 / _DECIMALS)
