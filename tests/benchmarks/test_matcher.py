"""The benchmark of the matcher in a short form: some thousand faces, no assertions on times."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import grpc.aio
import numpy as np
import pytest

from tests.benchmarks.matcher import (
    changes,
    decisions,
    exact,
    filters,
    flood,
    growth,
    identify,
    peers,
    shared,
    verify,
)
from tests.benchmarks.matcher.calls import Calls
from tests.benchmarks.matcher.cores import Cores
from tests.benchmarks.matcher.stage import Stage, connected, put_dataset, running_matcher
from tests.benchmarks.matcher.tables import Figure, Table
from tests.benchmarks.vectors import Dataset

DATASET = Dataset(2000, photos=2, even=True)
FACES = DATASET.all()


@pytest.fixture(scope="module")
def served(make_database: Callable[[str], str], template_database: str) -> Iterator[tuple[str, str]]:
    """The URL of a database with the dataset and its index, and the address of a matcher over it."""
    url = make_database(template_database)
    asyncio.run(_put(url))
    with running_matcher(url, Cores.free()) as address:
        yield url, address


async def _put(url: str) -> None:
    async with connected(url) as connection:
        await connection.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    await put_dataset(url, DATASET)


@pytest.fixture
async def stage(served: tuple[str, str]) -> AsyncIterator[Stage]:
    url, address = served
    async with grpc.aio.insecure_channel(address) as channel:
        yield Stage(url, Calls(channel), DATASET, FACES, Cores.free())


async def test_every_decision_equals_that_of_numpy(stage: Stage) -> None:
    table = await decisions.run(stage, probes=100, calibration=2000, loose_non_mated=50)
    assert table.notes == ["No decision differs."]
    assert [row[-1] for row in table.rows[2:4]] == ["yes", "yes"]


async def test_a_decision_that_differs_from_numpy_is_listed(stage: Stage) -> None:
    probes = DATASET.genuine(5, draw=5)
    truth = exact.nearest(FACES, probes.encodings)
    wrong = exact.Nearest(np.roll(truth.people, 1), truth.distances)
    outcome = await decisions.compare(stage, probes.encodings, wrong, 1.0, "enrolled")
    assert len(outcome.differences) == 5


async def test_the_enrolled_are_found_by_the_index(stage: Stage) -> None:
    table = await identify.run(stage, probes=50, non_mated=3)
    assert seen(table, "enrolled, right by the index alone") >= 0.9


async def test_verify_and_the_empty_handler_answer(stage: Stage) -> None:
    table = await verify.run(stage, rounds=1, seconds=0.2, singles=10)
    assert seen(table, "Verify's share of the echo's rate") > 0


async def test_searches_that_share_a_scan_are_measured_beside_one(stage: Stage) -> None:
    table = await shared.run(stage, rounds=1, seconds=0.2)
    assert [row[0] for row in table.rows[:2]] == ["one scan as before, 0.41", "1 alone, 0.41"]


async def test_searches_among_some_are_measured_and_decided_as_numpy_does(stage: Stage) -> None:
    table = await filters.run(stage, probes=2)
    assert [row[1] for row in table.rows] == ["2,000", "1,000", "20", "1", "10", "100", "1,000", "1"]
    assert {row[-2] for row in table.rows[:-1]} == {"0 of 4"}


async def test_a_flood_is_answered_or_refused_and_nothing_else(stage: Stage) -> None:
    # So small a collection answers thousands of searches a second: ten times more would overload gRPC itself.
    table = await flood.run(stage, seconds=1.0, rounds=1, times=2)
    # On a machine with much else to do a statement may take longer than it is given, which is UNAVAILABLE.
    assert re.fullmatch(r"0|\{'UNAVAILABLE': \d+\}", table.rows[-1][1]), table.text()


async def test_changes_leave_the_collection_as_it_was(stage: Stage) -> None:
    await changes.run(stage, changes=5, rounds=1, seconds=0.2, pickle_faces=1000)
    async with connected(stage.url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM facerec.face") == len(FACES.people)
        assert await connection.fetchval("SELECT count(*) FROM facerec.person") == DATASET.people


async def test_growth_is_measured_for_each(stage: Stage) -> None:
    table = await growth.run(stage, sizes=[1000], photos=[100], photos_at=1000, probes=5, non_mated=2)
    assert [row[:2] for row in table.rows[:5]] == [
        ("1,000 x 2", name) for name in ("facerec", "numpy", "FAISS flat", "KNN pickle", "SQL float8[]")
    ]
    assert len(table.rows) == 15


def test_nearest_equals_the_result_of_a_scan() -> None:
    probes = np.concatenate([DATASET.genuine(20).encodings, DATASET.non_mated(20)])
    found = exact.nearest(FACES, probes)
    for probe, person, distance in zip(probes, found.people, found.distances, strict=True):
        distances = exact.scan(FACES.encodings, probe)
        assert person == FACES.people[distances.argmin()]
        assert abs(distance - distances.min()) < 1e-5


def test_the_threshold_accepts_the_requested_share() -> None:
    distances = np.random.default_rng(3).uniform(0.4, 0.8, 5000)
    non_mated = exact.Nearest(np.zeros(5000, np.int64), distances)
    assert np.sum(distances <= decisions.threshold_of(non_mated)) == 5


def test_every_peer_finds_adds_and_deletes(tmp_path: Path) -> None:
    probe = DATASET.genuine(1)
    newcomer = DATASET.non_mated(1)[0]
    for peer in (peers.Numpy(FACES), peers.FaissFlat(FACES), peers.KnnPickle(FACES, tmp_path)):
        assert peer.who(probe.encodings[0]) == probe.people[0]
        peer.add(7_000, newcomer)
        assert peer.who(newcomer) == 7_000
        peer.delete(7_000)
        assert peer.who(newcomer) != 7_000


def test_a_missed_goal_is_shown() -> None:
    text = Table.of_figures(
        "t", [Figure.at_most("slow", 6, 5, " ms"), Figure.at_least("right", 1, 0.9)]
    ).text()
    assert "6 ms | at most 5 ms | MISSED" in " ".join(text.split())
    assert text.count("yes") == 1


def seen(table: Table, what: str) -> float:
    return next(float(row[1].split()[0]) for row in table.rows if row[0].startswith(what))
