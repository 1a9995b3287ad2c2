"""How often an index misses people with photos of two looks: a short form of the benchmark."""

import pytest

from tests.benchmarks import looks
from tests.fixtures.matcher import RunningMatcher


@pytest.fixture(scope="module")
def population() -> looks.Population:
    return looks.populate(3000, 50)


async def test_no_index_result_misses_a_nearer_face(
    matcher: RunningMatcher, database_url: str, population: looks.Population
) -> None:
    await looks.load(database_url, population)
    outcomes = await looks.ask(matcher, population)
    assert [each.photos for each in outcomes] == list(looks.PHOTOS)
    # At most 0.002 of them may: of 1,000, more than 6 in one case of 200.
    assert sum(each.hidden for each in outcomes) <= 6
    assert all(each.accepted > 0.9 * each.probes for each in outcomes)


async def test_maintain_measures_the_recall_that_numpy_finds(
    database_url: str, population: looks.Population
) -> None:
    await looks.load(database_url, population)
    for each in await looks.measure(database_url, population, probes=1000):
        low, high = each.measured.interval
        other_low, other_high = each.true.interval
        assert low <= other_high
        assert other_low <= high
        assert each.measured.value >= 0.998
