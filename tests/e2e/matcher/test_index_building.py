"""`maintain` builds, rebuilds and drops indexes, and waits for nobody for long."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import numpy as np
import pytest
import structlog.testing

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.maintenance import indexes
from matcher_service.postgres.connections import owner as session
from matcher_service.postgres.connections.owner import LOCK_KEY
from tests.benchmarks.vectors import Dataset, Faces
from tests.e2e.matcher.indexing import (
    EXACT,
    FACES,
    INDEX,
    PEOPLE,
    PERSONS,
    Collections,
    identify,
    load_people,
    maintain,
    probe,
)
from tests.fixtures import dataset
from tests.fixtures.matcher import RunningMatcher
from tests.fixtures.waiting import until


@pytest.fixture
async def faces(administrator: asyncpg.Connection) -> Faces:
    return await load_people(administrator)


@pytest.fixture
def collections(matcher: RunningMatcher) -> Collections:
    return Collections(matcher)


async def test_an_index_is_built_at_a_size_rebuilt_with_growth_and_dropped_with_shrinking(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, collections: Any
) -> None:
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    few = Dataset(200, 2.0, even=True, seed=3)
    await dataset.load(administrator, few.all())
    await maintain(database_url)
    assert not (await collections.index()).ready
    assert (await identify(matcher, few.all().encodings[0])).mode == EXACT

    await dataset.load(administrator, _renumbered(Dataset(400, 2.0, even=True, seed=4).all(), 1000))
    await maintain(database_url)
    first = await collections.index()
    assert (first.ready, first.persons) == (True, 600)
    assert first.recall >= 0.99
    assert await _indexes(administrator) == _pair(1)
    await maintain(database_url)
    assert (await collections.index()).build_time == first.build_time

    await dataset.load(administrator, _renumbered(Dataset(400, 2.0, even=True, seed=5).all(), 5000))
    await maintain(database_url)
    assert (await collections.index()).persons == 1000
    assert await _indexes(administrator) == _pair(2)

    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 100000")
    await maintain(database_url)
    assert not (await collections.index()).ready
    assert await _indexes(administrator) == []
    assert (await identify(matcher, few.all().encodings[0])).mode == EXACT


async def test_leftovers_of_an_interrupted_build_are_dropped(
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection, database_url: str
) -> None:
    await administrator.execute(
        f"CREATE INDEX {PERSONS}_near_1 ON facerec.{PERSONS}"
        " USING ivfflat ((subvector(centroid, 1, 64)::halfvec(64)) halfvec_l2_ops) WITH (lists = 16);"
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'facerec.{PERSONS}_near_1'::regclass"
    )
    await maintain(database_url)
    valid = await administrator.fetch(
        "SELECT i.relname, x.indisvalid FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
        " WHERE i.relname LIKE '%_near_%'"
    )
    assert sorted(tuple(row) for row in valid) == [(name, True) for name in _pair(1)]
    assert (await identify(matcher, faces.encodings[0])).mode == INDEX


@pytest.mark.usefixtures("faces")
async def test_an_index_that_somebody_dropped_is_noticed_and_built_again(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    await maintain(database_url)
    drop = "DROP INDEX {0}"
    invalidate = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{0}'::regclass"
    for damage, table in itertools.product((drop, invalidate), range(2)):
        names = await _indexes(administrator)
        statement = damage.format(f"facerec.{names[table]}")
        await administrator.execute(statement)
        await maintain(database_url)
        valid = await administrator.fetch(
            "SELECT x.indisvalid FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
            " WHERE i.relname LIKE '%_near_%'"
        )
        assert [row["indisvalid"] for row in valid] == [True, True], statement
        assert (await identify(matcher, PEOPLE.all().encodings[0])).mode == INDEX, statement


async def test_the_largest_numbers_an_encoding_may_have_fit_an_index(
    matcher: RunningMatcher, faces: Faces, database_url: str
) -> None:
    largest = np.full(128, 1000, np.float32)
    for name, vector in (("low", -largest), ("high", largest)):
        item = pb.EnrollItem(probe=probe(vector))
        await matcher.stub.Enroll(pb.EnrollRequest(person_id=name, items=[item]))
    await maintain(database_url)
    for name, vector in (("low", -largest), ("high", largest)):
        answer = await identify(matcher, vector)
        assert (answer.mode, answer.candidates[0].person_id) == (INDEX, name)


async def test_a_build_shows_its_progress(
    faces: Faces, administrator: asyncpg.Connection, database_url: str, collections: Any
) -> None:
    """A writer that holds its transaction open keeps the build waiting where it can be seen."""
    other = await asyncpg.connect(database_url)
    try:
        held = other.transaction()
        await held.start()
        await other.execute(f"UPDATE facerec.{PERSONS} SET display_name = 'x' WHERE person_id = 'p0'")
        build = asyncio.create_task(maintain(database_url))

        async def waits() -> bool:
            return "waiting" in (await collections.index()).build_phase

        await until(waits)
        assert not (await collections.index()).ready
        await held.rollback()
        assert await build
    finally:
        await other.close()
    index = await collections.index()
    assert (index.ready, index.build_phase) == (True, "")


@pytest.fixture
async def snapshot(faces: Faces, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A transaction with a snapshot, of another table than those of `default`, until it is ended."""
    other = await asyncpg.connect(database_url)
    await other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await other.execute("SELECT 1 FROM facerec.model")
    yield other
    await other.close()


async def test_a_build_outlasts_a_snapshot_that_began_before(
    snapshot: asyncpg.Connection,
    administrator: asyncpg.Connection,
    database_url: str,
    collections: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "LOCK_WAIT_SECONDS", 0.2)
    build = asyncio.create_task(maintain(database_url))

    async def waits() -> bool:
        return "old snapshots" in (await collections.index()).build_phase

    await until(waits)
    await asyncio.sleep(0.5)
    # Beside it people are read and written.
    await administrator.execute(f"UPDATE facerec.{PERSONS} SET display_name = 'x' WHERE person_id = 'p0'")
    await snapshot.execute("ROLLBACK")
    assert await build
    assert (await collections.index()).ready
    assert await _indexes(administrator) == _pair(1)


@pytest.mark.parametrize("held", ["a snapshot", "a writer's lock"])
async def test_a_build_is_postponed_if_an_old_transaction_would_block_it(
    snapshot: asyncpg.Connection,
    database_url: str,
    collections: Any,
    monkeypatch: pytest.MonkeyPatch,
    held: str,
) -> None:
    monkeypatch.setattr(indexes, "OLD_SECONDS", 0.0)
    if held != "a snapshot":
        await snapshot.execute("ROLLBACK")
        await snapshot.execute("BEGIN")
        await snapshot.execute(f"UPDATE facerec.{PERSONS} SET display_name = 'x' WHERE person_id = 'p0'")
    with structlog.testing.capture_logs() as log:
        assert await maintain(database_url)
    assert [line["event"] for line in log] == ["index_build_postponed"]
    await snapshot.execute("ROLLBACK")
    waiting = "SELECT waiting FROM facerec.maintenance WHERE step = 'keep'"
    assert await snapshot.fetchval(waiting) == 1
    assert await _indexes(snapshot) == []
    monkeypatch.undo()  # of the matcher's own moments none is to be taken for old
    assert await maintain(database_url)
    assert (await collections.index()).ready
    assert await snapshot.fetchval(waiting) == 0


async def test_only_one_maintains_at_a_time(
    faces: Faces, administrator: asyncpg.Connection, database_url: str
) -> None:
    await administrator.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    assert not await maintain(database_url)
    assert await _indexes(administrator) == []
    await administrator.execute("SELECT pg_advisory_unlock_all()")
    assert await maintain(database_url)


def _renumbered(faces: Faces, first: int) -> Faces:
    return Faces(faces.people + first, faces.encodings)


def _pair(number: int) -> list[str]:
    return [f"{table}_near_{number}" for table in (FACES, PERSONS)]


async def _indexes(administrator: asyncpg.Connection) -> list[str]:
    rows = await administrator.fetch("SELECT relname FROM pg_class WHERE relname LIKE '%_near_%' ORDER BY 1")
    return [row["relname"] for row in rows]
