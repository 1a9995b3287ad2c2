"""How often an index misses people with photos of two looks: a short form of the benchmark."""

import asyncio
from collections.abc import Callable

import pytest

from tests.benchmarks import looks
from tests.fixtures.matcher import StartMatcher


@pytest.fixture(scope="module")
def population() -> looks.Population:
    return looks.populate(3000, 50)


@pytest.fixture(scope="module")
def loaded_url(
    make_database: Callable[[str], str], template_database: str, population: looks.Population
) -> str:
    """The URL of a database with the population and its index, which no test changes."""
    url = make_database(template_database)
    asyncio.run(looks.load(url, population))
    return url


async def test_no_index_result_misses_a_nearer_face(
    start_matcher: StartMatcher, loaded_url: str, population: looks.Population
) -> None:
    outcomes = await looks.ask(await start_matcher(loaded_url), population)
    assert [each.photos for each in outcomes] == list(looks.PHOTOS)
    # At most 0.002 of them may: of 1,000, more than 6 in one case of 200.
    assert sum(each.hidden for each in outcomes) <= 6
    assert all(each.accepted > 0.9 * each.probes for each in outcomes)


async def test_maintain_measures_the_recall_that_numpy_finds(
    loaded_url: str, population: looks.Population
) -> None:
    for each in await looks.measure(loaded_url, population, probes=1000):
        low, high = each.measured.interval
        other_low, other_high = each.true.interval
        assert low <= other_high
        assert other_low <= high
        assert each.measured.value >= 0.998
