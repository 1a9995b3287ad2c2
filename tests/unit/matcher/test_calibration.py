"""Intervals of error rates contain the true rate about as often as they claim."""

import numpy as np
import pytest

from matcher_service.calibration import error_rates
from matcher_service.calibration.error_rates import BINS, Impostors, Sample
from matcher_service.calibration.group_rates import OneThreshold
from matcher_service.calibration.groups import shares
from matcher_service.calibration.search_rates import NearestFaces, search_point
from matcher_service.calibration.searches import NearestSearch
from tests.benchmarks import calibration_groups, calibration_searches
from tests.benchmarks.calibration import cover, measured, population
from tests.benchmarks.calibration_groups import Group


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


def test_intervals_of_groups_contain_the_true_rates_and_equal_groups_are_seldom_called_different() -> None:
    found = calibration_groups.cover(30, (Group(100),) * 3, seed=12)
    # Of 90 intervals; the command draws hundreds of populations of up to 16 groups.
    assert all(0.87 <= share <= 1.0 for share in (found.fmr, found.fnmr, found.between))
    assert found.called_different <= 0.15
    assert found.called_exceeded <= 0.15


def test_groups_that_differ_are_called_different_and_one_threshold_may_serve_or_not() -> None:
    groups = (Group(200), Group(200, person_scale=0.12), Group(200, photo_scales=(0.1, 0.13)))
    compared = calibration_groups.comparisons(3, groups, 0.75, 0.01, seed=13)
    for found in compared:
        pairs = {(each.a, each.b): (each.fmr_differs, each.fnmr_differs) for each in found.pairs}
        assert pairs[0, 1] == (True, False)
        assert pairs[0, 2][1]
        assert [each.exceeds_target for each in found.groups] == [False, True, False]
        assert found.one_threshold is OneThreshold.EXCEEDED
    (loose,) = calibration_groups.comparisons(1, groups[:1] * 2, 0.5, 0.05, seed=14)
    assert loose.one_threshold is OneThreshold.SERVES
    (close,) = calibration_groups.comparisons(1, groups[:1] * 2, 0.75, 0.003, seed=14)
    assert close.one_threshold is OneThreshold.UNDECIDED


@pytest.mark.parametrize(
    ("sizes", "total", "drawn"),
    [([300, 200, 100], 300, [100] * 3), ([900, 500, 40], 1000, [480, 480, 40]), ([5, 5], 1000, [5, 5])],
)
def test_as_many_are_drawn_of_each_group_as_there_are_or_an_equal_share(
    sizes: list[int], total: int, drawn: list[int]
) -> None:
    assert shares(sizes, total) == drawn


def test_intervals_of_searches_contain_the_true_rates() -> None:
    found = calibration_searches.cover(40, 500, 0.02, fresh=500, seed=15)
    assert 0.82 <= found.fpir <= 1.0
    assert 0.86 <= found.fnir <= 1.0


def test_two_persons_who_are_nearest_to_each_other_are_one_observation() -> None:
    """Four hits among 1,000: of two pairs of persons, or of four who are near people that were not drawn."""
    others = np.where(np.arange(1000) < 4, 0.3, 0.9)
    keys = np.arange(1000)
    elsewhere = keys + 1000
    mutual = np.where(keys < 4, keys ^ 1, elsewhere)
    own = np.full(1000, 0.2)
    alone = search_point(NearestFaces(keys, others, elsewhere, own), 0.01).fpir
    paired = search_point(NearestFaces(keys, others, mutual, own), 0.01).fpir
    assert alone is not None
    assert paired is not None
    assert alone.value == paired.value == 0.004
    assert (alone.low, alone.high) == pytest.approx((0.00156, 0.01024), rel=0.01)  # Wilson's of 4 of 1,000
    assert (paired.low, paired.high) == pytest.approx((0.0011, 0.0145), rel=0.05)  # of 2 of 500
    nobody = NearestFaces(keys, np.full(1000, 0.001), elsewhere, own)
    assert "merge" in search_point(nobody, 0.01).needs


def test_the_nearest_face_of_another_person_is_found_in_any_parts() -> None:
    random = np.random.default_rng(16)
    owners = np.sort(random.integers(0, 300, 1100))
    faces = random.normal(scale=0.1, size=(1100, 128)).astype(np.float32)
    probes, probe_keys = faces[::2], owners[::2]
    search = NearestSearch(probe_keys, probes)
    for part in np.array_split(np.arange(1100), 7):
        search.compare(owners[part], faces[part])
    apart = calibration_groups.distances(probes.astype(np.float64), faces.astype(np.float64))
    apart[probe_keys[:, None] == owners[None]] = np.inf
    assert search.distances == pytest.approx(apart.min(axis=1))
    assert np.array_equal(search.other_keys, owners[apart.argmin(axis=1)])
