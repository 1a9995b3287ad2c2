"""Similarities decide as distances do, and errors that a service answers have a code of CompreFace's."""

import itertools
import math

import pytest

from facerec.errors import Reason
from facerec.gateway.compreface import refusals, routes
from facerec.gateway.compreface.scores import probability, similarity

THRESHOLDS = (0.0, 0.3, 0.5, 0.6, 4.0)
# What these paths never call for, and what is an error of the server's own: they have the code OTHER.
WITHOUT_CODE = {
    *(Reason.ERASURE_NOT_FOUND, Reason.CALIBRATION_NOT_FOUND, Reason.CALIBRATION_UNSUPPORTED),
    *(Reason.REQUEST_ID_REUSED, Reason.PERSON_SUSPENDED, Reason.COLLECTION_EXISTS),
    *(Reason.COLLECTION_NOT_EMPTY, Reason.INTERNAL),
}


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_similarity_falls_with_the_distance_and_is_half_or_more_at_a_match(
    threshold: float,
) -> None:
    distances = [each / 1000 for each in range(4001)]
    distances += [threshold, math.nextafter(threshold, 5), max(0.0, math.nextafter(threshold, -1))]
    distances.sort()
    found = [similarity(distance, threshold, match=distance <= threshold) for distance in distances]
    assert all(0 <= far <= near <= 1 for near, far in itertools.pairwise(found))
    assert [each >= 0.5 for each in found] == [distance <= threshold for distance in distances]


def test_without_a_distance_a_similarity_is_the_decision() -> None:
    assert (similarity(None, 0.6, match=True), similarity(None, 0.6, match=False)) == (1.0, 0.0)


def test_a_probability_is_half_at_the_detector_s_threshold_and_rises() -> None:
    found = [probability(score) for score in (-1.0, 0.0, 0.5, 1.0, 3.0)]
    assert found == sorted(found)
    assert (found[1], found[0] > 0, found[-1] <= 1) == (0.5, True, True)


def test_every_reason_has_a_code() -> None:
    assert set(Reason) - set(refusals.BY_REASON) == WITHOUT_CODE


def test_no_path_is_answered_twice() -> None:
    paths = {"subjects": "x", "image_id": "y", "api_key": "z"}
    for route in routes.ROUTES:
        sample = route.pattern.pattern.replace("/?", "")
        for name, value in {**paths, "subject": "x"}.items():
            sample = sample.replace(f"(?P<{name}>[^/]+)", value).replace(f"(?P<{name}>.*)", value)
        taking = [
            each for each in routes.ROUTES if each.verb == route.verb and each.pattern.fullmatch(sample)
        ]
        assert taking == [route], sample
