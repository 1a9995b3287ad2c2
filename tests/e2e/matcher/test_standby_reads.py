"""Reads from a standby are as fresh as the primary's, whatever the standby lacks."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.database import Database
from matcher_service.postgres.standbys import read_index, standby
from matcher_service.postgres.standbys.positions import Position
from matcher_service.postgres.statements import load, partition_name
from tests.e2e.matcher.reading import enroll_next, fallbacks, is_found_at_once, reading, reads, usable
from tests.e2e.matcher.requests import encoding, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.standbys import Replication, fetch, replicated
from tests.fixtures.waiting import until


@pytest.fixture(scope="module")
def servers() -> Iterator[Replication]:
    with replicated() as replication:
        yield replication


@pytest.fixture
async def matcher(start_matcher: StartMatcher, servers: Replication) -> RunningMatcher:
    """A matcher that reads from the standby, for 10 s if need be."""
    return await reading(start_matcher, servers, replay_wait_seconds=10)


async def test_a_standby_finds_everybody_who_was_enrolled_before_the_call(matcher: RunningMatcher) -> None:
    before, primary = reads("standby"), reads("primary")
    assert [await is_found_at_once(matcher) for _ in range(30)] == [True] * 30
    assert reads("standby") - before == 60  # each enrollment searches for duplicates
    assert reads("primary") == primary


async def test_a_standby_that_does_not_replay_is_not_read_from(
    start_matcher: StartMatcher, servers: Replication
) -> None:
    matcher = await reading(start_matcher, servers, schema_check_seconds=60)  # so that the read notices first
    await fetch(servers.standbys[0], "SELECT pg_wal_replay_pause()")
    try:
        lagging = fallbacks("lagging")
        assert await is_found_at_once(matcher)
        assert fallbacks("lagging") > lagging
        assert not usable(1)
    finally:
        await fetch(servers.standbys[0], "SELECT pg_wal_replay_resume()")
    await until(lambda: usable(1))


async def test_a_router_that_skipped_the_check_would_be_caught(
    matcher: RunningMatcher, servers: Replication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: every standby counts as fit."""
    monkeypatch.setattr(standby, "why_unfit", lambda position, replay: None)
    await fetch(servers.standbys[0], "SELECT pg_wal_replay_pause()")
    try:
        assert not await is_found_at_once(matcher)
    finally:
        await fetch(servers.standbys[0], "SELECT pg_wal_replay_resume()")


@pytest.fixture
async def asynchronous(servers: Replication) -> None:
    """Commits are visible long before they are flushed: nobody flushes for 10 s."""
    for statement in (
        "ALTER SYSTEM SET wal_writer_delay = '10s'",
        "ALTER SYSTEM SET synchronous_commit = off",
        "SELECT pg_reload_conf()",
    ):
        await fetch(servers.primary, statement)


async def restore(servers: Replication) -> None:
    for statement in ("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"):
        await fetch(servers.primary, statement)


async def test_what_is_committed_asynchronously_is_covered_too(
    matcher: RunningMatcher, servers: Replication, asynchronous: None
) -> None:
    try:
        before = reads("standby")
        assert [await is_found_at_once(matcher) for _ in range(5)] == [True] * 5
        assert reads("standby") - before == 10
    finally:
        await restore(servers)


async def test_the_flushed_position_would_not_cover_it(
    matcher: RunningMatcher, servers: Replication, asynchronous: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: the primary's position is what its disk has."""

    async def read_flushed(connection: asyncpg.Connection) -> Position:
        row = await connection.fetchrow(load()["commit_position"].text)
        assert row is not None
        position = Position.of(row)
        return Position(position.system, position.database, position.timeline, row["flush_lsn"], flushed=True)

    monkeypatch.setattr(read_index, "read_position", read_flushed)
    try:
        assert not all([await is_found_at_once(matcher) for _ in range(5)])
    finally:
        await restore(servers)


async def test_an_idle_primary_at_the_start_of_a_page_of_its_log_keeps_no_standby_waiting(
    matcher: RunningMatcher, servers: Replication
) -> None:
    """The next record begins after the page's header, where replay gets only with that record."""
    assert await is_found_at_once(matcher)
    probe = pb.IdentifyRequest(probes=[encoding(vectors(1)[0])])

    async def idle_at_the_start_of_a_page() -> bool:
        """Read once there; False where the server has written something meanwhile."""
        await fetch(servers.primary, "SELECT pg_logical_emit_message(true, 'test', 'something to switch')")
        await fetch(servers.primary, "SELECT pg_switch_wal()")
        before, lagging = reads("standby"), fallbacks("lagging")
        await matcher.stub.Identify(probe)
        inserted = await fetch(servers.primary, "SELECT pg_current_wal_insert_lsn()")
        assert (reads("standby") - before, fallbacks("lagging") - lagging) == (1, 0)
        return inserted % 8192 in (24, 40)

    await until(idle_at_the_start_of_a_page)


async def test_what_is_replayed_between_the_check_and_the_snapshot_is_in_the_answer(
    matcher: RunningMatcher, servers: Replication
) -> None:
    assert await is_found_at_once(matcher)
    database: Database = matcher.service._database
    async with database.scan_session("default") as session:
        assert not session.on_primary
        person_id, _ = await enroll_next(matcher)
        await servers.caught_up(servers.standbys[0])
        async with session.transaction("repeatable_read", readonly=True):
            table = partition_name("person", "default")
            found = await session.connection.fetchval(
                f"SELECT count(*) FROM facerec.{table} WHERE person_id = $1", person_id
            )
    assert found == 1


async def test_calls_share_only_a_statement_that_begins_after_them(
    servers: Replication, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on, statements = asyncio.Event(), asyncio.Event(), 0

    async def counted(connection: asyncpg.Connection) -> Position:
        nonlocal statements
        statements += 1
        position = await read_position(connection)
        began.set()
        await go_on.wait()
        return position

    read_position = read_index.read_position
    monkeypatch.setattr(read_index, "read_position", counted)
    index = read_index.ReadIndex(lambda: asyncpg.connect(servers.primary.url()))
    try:
        first = asyncio.create_task(index.position())
        await began.wait()
        await fetch(servers.primary, "SELECT pg_logical_emit_message(true, 'test', 'committed meanwhile')")
        later = [asyncio.create_task(index.position()) for _ in range(50)]
        await asyncio.sleep(0)
        go_on.set()
        early, *positions = await asyncio.gather(first, *later)
        assert statements == 2
        assert {each.lsn > early.lsn for each in positions} == {True}
    finally:
        await index.close()
