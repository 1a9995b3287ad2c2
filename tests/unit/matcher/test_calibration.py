"""Intervals of error rates contain the true rate about as often as they claim."""

import numpy as np
import pytest

from matcher_service.calibration import error_rates
from matcher_service.calibration.error_rates import BINS, Impostors, Sample
from tests.benchmarks.calibration import cover, measured, population


@pytest.mark.parametrize(("persons", "photos"), [(60, 3), (200, 2)])
def test_intervals_contain_the_true_rate_in_about_95_of_100_populations(persons: int, photos: int) -> None:
    found = cover(200, persons, photos, seed=11)
    # 95 % of 200 within 3.3 standard deviations; the command behind `make bench-calibration` draws 1,000.
    assert 0.90 <= found.fmr <= 1.0
    assert 0.90 <= found.fnmr <= 0.995


def test_an_interval_is_wider_than_that_of_independent_pairs() -> None:
    sample = measured(population(np.random.default_rng(3), 300, 4))
    points = error_rates.curve(sample)
    chosen = error_rates.largest_within(points, 0.01)
    assert chosen is not None
    naive = 1.96 * np.sqrt(chosen.fmr.value * (1 - chosen.fmr.value) / sample.impostor_pairs)
    assert chosen.fmr.high - chosen.fmr.value > 2 * naive


def test_without_a_seen_error_the_interval_is_still_wide() -> None:
    impostor = np.zeros((100, BINS), np.int64)
    impostor[:, 300] = 99
    rate = error_rates.false_match_rates(Impostors.of_rows(impostor))[100]
    assert rate.value == 0
    assert rate.low == 0
    assert 3 / 100 < rate.high < 0.1  # by 50 pairs that share nobody, not by 4,950


def test_the_persons_needed_are_those_that_make_the_pairs_needed() -> None:
    assert error_rates.needed_pairs(1e-3) == 10_000
    persons = error_rates.needed_persons(10_000)
    assert persons * (persons - 1) // 2 >= 10_000 > (persons - 1) * (persons - 2) // 2


def test_without_a_person_with_two_faces_there_is_no_frr() -> None:
    sample = measured(population(np.random.default_rng(4), 50, 2))
    alone = Sample(sample.genuine[:0], sample.impostor)
    assert all(point.fnmr is None for point in error_rates.curve(alone))
