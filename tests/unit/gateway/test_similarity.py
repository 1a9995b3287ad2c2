"""Similarities order faces as their distances do, and their inverse is that of the formula."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.gateway.rekognition.scores import max_distance_of, percent_of
from facerec.gateway.similarity import MAX_DISTANCE, power_distance, power_similarity

DISTANCES = st.floats(0, 4)
THRESHOLDS = st.floats(0.05, 2)
SHARES = st.floats(0.1, 0.9)


@given(DISTANCES, DISTANCES, THRESHOLDS, SHARES)
def test_a_nearer_face_is_never_less_similar(
    one: float, other: float, threshold: float, share: float
) -> None:
    near, far = sorted((one, other))
    least = power_similarity(far, threshold, at_threshold=share)
    assert 0 <= least <= power_similarity(near, threshold, at_threshold=share) <= 1


@given(THRESHOLDS, SHARES)
def test_the_similarity_at_the_threshold_is_the_one_chosen_and_1_at_no_distance(
    threshold: float, share: float
) -> None:
    assert power_similarity(threshold, threshold, at_threshold=share) == share
    assert power_similarity(0, threshold, at_threshold=share) == 1
    assert power_distance(1, threshold, at_threshold=share) == 0
    assert power_distance(0, threshold, at_threshold=share) == MAX_DISTANCE


@given(st.floats(0.01, 1.2), SHARES)
def test_a_distance_comes_back_from_its_similarity(ratio: float, share: float) -> None:
    similarity = power_similarity(ratio * 0.5, 0.5, at_threshold=share)
    found = power_distance(similarity, 0.5, at_threshold=share)
    if 1 - similarity > 1e-6:  # nearer to 1 the similarities of different distances are one number
        assert math.isclose(found, ratio * 0.5, rel_tol=1e-6)


@given(DISTANCES, THRESHOLDS)
def test_a_search_at_a_face_s_own_similarity_reaches_it(distance: float, threshold: float) -> None:
    percent = percent_of(distance, threshold)
    if percent < 80:
        assert max_distance_of(percent, threshold) >= distance


def test_a_threshold_of_0_is_reached_at_no_distance_only() -> None:
    assert power_similarity(0, 0, at_threshold=0.8) == 1
    assert power_similarity(1e-9, 0, at_threshold=0.8) == 0
    assert power_similarity(4, 1e-30, at_threshold=0.8) == 0


def test_the_documented_shares_of_the_threshold_are_the_formula_s() -> None:
    shares = {0.99: 0.77, 0.9: 0.94, 0.7: 1.04, 0.5: 1.10, 0.01: 1.29}
    for similarity, share in shares.items():
        assert power_distance(similarity, 1, at_threshold=0.8) == pytest.approx(share, abs=0.005)
