"""Similarities in percent, as Rekognition has them, and the distances of thresholds in percent."""

from typing import Final

from facerec.gateway.similarity import MAX_DISTANCE, power_distance, power_similarity

DEFAULT_PERCENT: Final = 80.0
"""The similarity at the collection's threshold: Rekognition's default of FaceMatchThreshold."""


def percent_of(distance: float, threshold: float) -> float:
    """The similarity at a distance, from 0 to 100, where the collection's threshold is `threshold`."""
    return 100 * power_similarity(distance, threshold, at_threshold=DEFAULT_PERCENT / 100)


def max_distance_of(percent: float, threshold: float) -> float:
    """A distance within which all are that are at least so similar; by rounding, others may be too."""
    found = power_distance(percent / 100, threshold, at_threshold=DEFAULT_PERCENT / 100)
    return min(MAX_DISTANCE, found * (1 + 1e-9))
