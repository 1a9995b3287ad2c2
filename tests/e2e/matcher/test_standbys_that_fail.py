"""A standby that misbehaves costs no call: it goes on elsewhere, and the standby comes back by itself."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest

from matcher_service.audit.changes import Change, append_event
from matcher_service.domain.errors import ReadInterrupted, StoreUnavailable
from matcher_service.postgres.database import Database, DatabaseOptions, Session
from matcher_service.postgres.driver_errors import retried_on_schema_change
from matcher_service.postgres.standbys.positions import Unfit
from matcher_service.postgres.statements import partition_name
from matcher_service.transfer import exporter as exporter_module
from matcher_service.transfer.chunks import Chunk
from matcher_service.transfer.exporter import Exporter
from tests.e2e.matcher.reading import (
    enroll_next,
    fallbacks,
    identify,
    is_found_at_once,
    reading,
    reads,
    standbys,
    usable,
)
from tests.fixtures.clusters import open_another
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.standbys import Replication, fetch, kill, replicated, replicated_by, send
from tests.fixtures.waiting import LIMIT_SECONDS, until

LONG = "SELECT pg_sleep(25)"  # less than a statement may take, and more than any test waits


@pytest.fixture(scope="module")
def servers() -> Iterator[Replication]:
    with replicated() as replication:
        yield replication


@pytest.fixture
async def matcher(start_matcher: StartMatcher, servers: Replication) -> RunningMatcher:
    return await reading(start_matcher, servers)


class Reading:
    """A read that never ends on a standby, and says which server ended it; `begun` once it reads there."""

    def __init__(self, matcher: RunningMatcher) -> None:
        self._database: Database = matcher.service._database
        self.begun = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    @retried_on_schema_change
    async def _read(self) -> str:
        async with self._database.scan_session("default") as session:
            if session.on_primary:
                return "primary"
            async with session.transaction("repeatable_read", readonly=True):
                await session.required_row("get_collection")
                self.begun.set()
                await session.connection.execute(LONG)
        return "standby"


async def hang(servers: Replication) -> None:
    send(servers.standbys[0], signal.SIGSTOP)


async def go_on(servers: Replication) -> None:
    send(servers.standbys[0], signal.SIGCONT)


async def crash(servers: Replication) -> None:
    kill(servers.standbys[0])


async def restart(servers: Replication) -> None:
    servers.standbys[0].start()


async def conflict(servers: Replication) -> None:
    """Remove rows that a snapshot on the standby sees, and have replay wait for nobody."""
    for statement in ("ALTER SYSTEM SET max_standby_streaming_delay = 0", "SELECT pg_reload_conf()"):
        await fetch(servers.standbys[0], statement)
    table = f"facerec.{partition_name('face', 'default')}"
    await fetch(servers.primary, f"UPDATE {table} SET external_ref = external_ref || '.'")
    await fetch(servers.primary, f"VACUUM {table}")


async def nothing(servers: Replication) -> None:
    """It is well already."""


Step = Callable[[Replication], Awaitable[None]]


@pytest.mark.parametrize(
    ("fail", "reason", "recover"),
    [
        (hang, "unresponsive", go_on),
        (crash, "unavailable", restart),
        (conflict, "conflict", nothing),
    ],
)
async def test_a_read_goes_on_elsewhere_and_the_standby_comes_back(
    matcher: RunningMatcher, servers: Replication, fail: Step, reason: str, recover: Step
) -> None:
    assert await is_found_at_once(matcher)
    before = fallbacks(reason)
    read = Reading(matcher)
    await read.begun.wait()
    await fail(servers)
    try:
        assert await read.task == "primary"
        assert fallbacks(reason) > before
        assert await is_found_at_once(matcher)
    finally:
        await recover(servers)
    await until(lambda: usable(1))
    answered = reads("standby")
    assert await is_found_at_once(matcher)
    assert reads("standby") > answered


async def test_a_read_whose_connection_is_closed_goes_on_whatever_the_driver_raises_then(
    matcher: RunningMatcher,
) -> None:
    """asyncpg's is an AttributeError if the connection goes between two steps of a statement."""
    database: Database = matcher.service._database
    with pytest.raises(ReadInterrupted):
        async with database.scan_session("default") as session:
            assert not session.on_primary
            standbys(matcher)[0].exclude(Unfit.UNRESPONSIVE)
            raise AttributeError
    await until(lambda: usable(1))
    with pytest.raises(AttributeError):
        async with database.scan_session("default"):
            raise AttributeError


async def test_a_read_that_begins_while_a_standby_hangs_goes_on_elsewhere(
    start_matcher: StartMatcher, servers: Replication
) -> None:
    matcher = await reading(start_matcher, servers, schema_check_seconds=60)  # so that the read notices first
    person_id, probe = await enroll_next(matcher)
    assert await identify(matcher, probe) == [person_id]
    before = fallbacks("unresponsive")
    await hang(servers)
    try:
        assert await identify(matcher, probe) == [person_id]
        assert fallbacks("unresponsive") == before + 1
        assert not usable(1)
        assert await identify(matcher, probe) == [person_id]
        assert fallbacks("unresponsive") == before + 1
    finally:
        await go_on(servers)


async def test_reads_that_wait_for_a_connection_of_a_standby_that_hangs_wait_for_nothing_else_of_it(
    start_matcher: StartMatcher, servers: Replication
) -> None:
    """One after another they would find out that it hangs, until the last ones had waited too long."""
    settings = {"search_pool_size": 1, "pool_wait_seconds": 5, "schema_check_seconds": 60}
    matcher = await reading(start_matcher, servers, **settings)
    person_id, probe = await enroll_next(matcher)
    await hang(servers)
    try:
        found = await asyncio.gather(*(identify(matcher, probe) for _ in range(40)))
        assert found == [[person_id]] * 40
    finally:
        await go_on(servers)


async def test_one_that_lagged_for_a_moment_is_read_from_again_before_all_are_checked_next(
    servers: Replication,
) -> None:
    options = DatabaseOptions(
        servers.primary.url(), read_urls=servers.read_urls, standby_check_seconds=10 * LIMIT_SECONDS
    )
    database = Database(options)
    await database.check()
    try:
        await until(lambda: usable(1))
        await fetch(servers.standbys[0], "SELECT pg_wal_replay_pause()")
        await fetch(servers.primary, "SELECT pg_logical_emit_message(true, 'test', 'not replayed')")
        async with database.index_session("default") as session:
            assert session.on_primary
        assert not usable(1)
        await fetch(servers.standbys[0], "SELECT pg_wal_replay_resume()")
        await until(lambda: usable(1))
    finally:
        await fetch(servers.standbys[0], "SELECT pg_wal_replay_resume()")
        await database.close()


async def test_an_export_that_a_standby_breaks_off_is_refused_and_not_continued_from_another_snapshot(
    matcher: RunningMatcher, servers: Replication
) -> None:
    await enroll_next(matcher)
    exporter = Exporter(matcher.service._database, export_seconds=60)
    chunks: list[Chunk] = []

    async def write(space: str, chunk: Chunk) -> None:
        chunks.append(chunk)
        await crash(servers)

    try:
        with pytest.raises(StoreUnavailable) as refusal:
            await exporter.export("default", write)
        assert not isinstance(refusal.value, ReadInterrupted)
        assert refusal.value.retry_after_seconds
        assert len(chunks) == 1
    finally:
        await restart(servers)
    await until(lambda: usable(1))


async def test_an_export_that_a_standby_breaks_off_before_anything_is_sent_goes_on_elsewhere(
    matcher: RunningMatcher, servers: Replication, monkeypatch: pytest.MonkeyPatch
) -> None:
    person_id, _ = await enroll_next(matcher)
    exporter = Exporter(matcher.service._database, export_seconds=60)
    persons: list[str] = []
    events = 0

    async def write(space: str, chunk: Chunk) -> None:
        persons.extend(chunk.person_ids)

    async def append_and_crash(session: Session, change: Change) -> None:
        nonlocal events
        events += 1
        await append_event(session, change)
        await crash(servers)

    monkeypatch.setattr(exporter_module, "append_event", append_and_crash)
    try:
        await exporter.export("default", write)
    finally:
        await restart(servers)
    assert person_id in persons
    assert len(persons) == len(set(persons))
    assert events == 1
    await until(lambda: usable(1))


@pytest.fixture
def other_system() -> Iterator[Replication]:
    """Servers whose system is not that of the copied ones."""
    with replicated_by(lambda folder: Replication(folder, open_another), 1) as replication:
        yield replication


async def test_a_standby_of_another_system_is_not_read_from(
    start_matcher: StartMatcher, servers: Replication, other_system: Replication
) -> None:
    matcher = await start_matcher(servers.primary.url(), read_database_urls=other_system.read_urls)
    await until(lambda: standbys(matcher)[0].unfit is Unfit.OTHER_DATABASE)
    assert await is_found_at_once(matcher)
