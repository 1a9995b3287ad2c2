"""A standby that misbehaves costs no call: it goes on elsewhere, and the standby comes back by itself."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from facerec.matcher import v1
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.audit.changes import Change, append_event
from matcher_service.diagnostics.doctor import examine
from matcher_service.domain.errors import ReadInterrupted, StoreUnavailable
from matcher_service.postgres.database import Database, DatabaseOptions, Session
from matcher_service.postgres.driver_errors import retried_on_schema_change
from matcher_service.postgres.standbys import standby as standby_module
from matcher_service.postgres.standbys.positions import Position, Replay, Unfit
from matcher_service.postgres.standbys.read_index import ReadIndex
from matcher_service.postgres.statements import partition_name
from matcher_service.settings import MatcherSettings
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
def own_servers() -> Iterator[Replication]:
    """Servers that the test may break for good."""
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


@pytest.fixture(scope="module")
def two_standbys() -> Iterator[Replication]:
    with replicated(2) as replication:
        yield replication


async def test_the_standby_with_the_fewest_reads_in_flight_is_read_from(
    start_matcher: StartMatcher, two_standbys: Replication
) -> None:
    matcher = await reading(start_matcher, two_standbys)
    database: Database = matcher.service._database

    def in_flight() -> list[int]:
        return sorted(each.in_flight for each in standbys(matcher))

    async with database.scan_session("default"):
        assert in_flight() == [0, 1]
        async with database.scan_session("default"), database.scan_session("default"):
            assert in_flight() == [1, 2]
            async with database.scan_session("default"):
                assert in_flight() == [2, 2]
    assert in_flight() == [0, 0]


async def test_one_that_has_it_is_read_from_and_one_that_lags_not_waited_for(
    start_matcher: StartMatcher, two_standbys: Replication, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"replay_wait_seconds": 10, "schema_check_seconds": 60}
    matcher = await reading(start_matcher, two_standbys, **settings)
    lagging, fit = two_standbys.standbys
    await fetch(lagging, "SELECT pg_wal_replay_pause()")
    try:
        await enroll_next(matcher)
        position = await matcher.service._database._reads._index.position()
        await two_standbys.caught_up(fit)
        before = fallbacks("lagging")
        monkeypatch.setattr(ReadIndex, "position", AsyncMock(return_value=position))
        async with matcher.service._database.index_session("default") as session:
            assert not session.on_primary
        assert fallbacks("lagging") == before
    finally:
        await fetch(lagging, "SELECT pg_wal_replay_resume()")


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


async def test_standbys_are_added_and_removed_by_a_file_while_the_matcher_runs(
    start_matcher: StartMatcher, own_servers: Replication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "urls"
    file.write_text(own_servers.read_urls + "\n")
    monkeypatch.setenv("MATCHER_READ_DATABASE_URLS_FILE", str(file))
    matcher = await reading(start_matcher, own_servers)
    [first] = standbys(matcher)
    own_servers.add()

    def replace(text: str) -> None:
        """As a mounted secret is replaced: by another file under its name."""
        new = tmp_path / "new"
        new.write_text(text)
        new.replace(file)

    replace(own_servers.read_urls.replace(" ", "\n"))
    await until(lambda: usable(2))
    assert standbys(matcher)[0] is first
    replace("postgresql://nothing is valid in here")
    replace(own_servers.standbys[1].url())
    await until(lambda: len(standbys(matcher)) == 1)
    before = reads("standby")
    assert await is_found_at_once(matcher)
    assert reads("standby") > before
    assert [each.number for each in standbys(matcher)] == [2]


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


async def test_one_that_was_promoted_is_not_read_from(
    start_matcher: StartMatcher, own_servers: Replication
) -> None:
    matcher = await reading(start_matcher, own_servers, schema_check_seconds=60)
    assert await is_found_at_once(matcher)
    [found] = (await matcher.collections.GetStatus(v1.GetStatusRequest())).standbys
    assert (found.number, found.state, found.streaming) == (1, v1.STANDBY_STATE_USABLE, True)
    assert found.lag_bytes < 2**20 and found.HasField("staleness_seconds")
    before = fallbacks("promoted")
    own_servers.standbys[0].promote()
    assert [await is_found_at_once(matcher) for _ in range(3)] == [True] * 3
    assert fallbacks("promoted") == before + 1
    [promoted] = standbys(matcher)
    assert promoted.unfit is Unfit.PROMOTED
    [found] = (await matcher.collections.GetStatus(v1.GetStatusRequest())).standbys
    assert found.state == v1.STANDBY_STATE_PROMOTED


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


@pytest.fixture
async def diverged(start_matcher: StartMatcher, own_servers: Replication) -> tuple[RunningMatcher, pb.Probe]:
    """A matcher of a promoted standby, which reads from one that has replayed more of the old primary's log;
    and the face of a person whom only that one has.
    """
    ahead, behind = own_servers.standbys[0], own_servers.add()
    await own_servers.caught_up(behind)
    kill(behind)
    old = await start_matcher(own_servers.primary.url())
    for _ in range(20):
        _, probe = await enroll_next(old)
    await own_servers.caught_up(ahead)
    kill(own_servers.primary)
    behind.start()
    behind.promote()
    return await start_matcher(behind.url(), read_database_urls=ahead.url()), probe


async def test_a_standby_of_the_former_primary_is_not_read_from_however_much_it_has_replayed(
    diverged: tuple[RunningMatcher, pb.Probe],
) -> None:
    matcher, lost = diverged
    await until(lambda: standbys(matcher)[0].unfit is Unfit.OTHER_TIMELINE)
    assert await identify(matcher, lost) == []


async def test_without_the_timeline_it_would_pass_for_one_of_the_new_primary(
    diverged: tuple[RunningMatcher, pb.Probe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: positions of any timeline are compared."""
    matcher, lost = diverged

    def by_position(position: Position, replay: Replay) -> Unfit | None:
        return Unfit.LAGGING if replay.lsn is None or replay.lsn < position.lsn else None

    monkeypatch.setattr(standby_module, "why_unfit", by_position)
    await until(lambda: standbys(matcher)[0].unfit is None)
    assert await identify(matcher, lost) != []


async def test_a_standby_that_follows_the_new_primary_is_read_from_again(
    start_matcher: StartMatcher, own_servers: Replication
) -> None:
    promoted, following = own_servers.standbys[0], own_servers.add()
    await own_servers.caught_up(promoted)
    await own_servers.caught_up(following)
    kill(own_servers.primary)
    promoted.promote()
    kill(following)
    following.follow(promoted)
    following.start()
    matcher = await start_matcher(promoted.url(), read_database_urls=following.url())
    await fetch(promoted, "CHECKPOINT")
    await own_servers.caught_up(following, promoted)
    await fetch(following, "CHECKPOINT")  # a restart point: its control file has the new timeline now
    await until(lambda: standbys(matcher)[0].unfit is None)
    before = reads("standby")
    assert await is_found_at_once(matcher)
    assert reads("standby") > before


async def test_doctor_says_what_a_failover_loses_and_whether_each_standby_can_be_read_from(
    own_servers: Replication,
) -> None:
    async def results() -> dict[str, tuple[str, str]]:
        settings = MatcherSettings.model_validate(
            {
                "database_url": own_servers.url,
                "read_database_urls": f"{own_servers.read_urls} {own_servers.primary.url()}",
                "encoder_address": "127.0.0.1:1",
            }
        )
        return {each.subject: (each.state, each.text) async for each in examine(settings)}

    found = await results()
    assert found["replication"][0] == "warn"
    assert "may lose the changes acknowledged last" in found["replication"][1]
    assert found["standby 1"][0] == "ok"
    assert (found["standby 2"][0], "it is no standby" in found["standby 2"][1]) == ("warn", True)
    for statement in ("ALTER SYSTEM SET synchronous_standby_names = 'standby1'", "SELECT pg_reload_conf()"):
        await fetch(own_servers.primary, statement)
    kill(own_servers.standbys[0])
    found = await results()
    assert found["replication"][0] == "ok"
    assert "once a standby of 'standby1' has written it to its disk" in found["replication"][1]
    assert (found["standby 1"][0], "cannot connect" in found["standby 1"][1]) == ("warn", True)
