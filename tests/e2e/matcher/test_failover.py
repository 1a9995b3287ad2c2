"""A primary that fails is succeeded by its standby, and matchers go on with that one without a restart."""

import asyncio
import functools
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import grpc.aio
import pytest

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import transfer_pb2
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres import migrations
from matcher_service.postgres.connections import address
from matcher_service.postgres.connections.address import NoPrimary
from matcher_service.postgres.database import Database
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.reading import enroll_next, identify, is_found_at_once, reading
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, people, send_each
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.standbys import Replication, fetch, kill, replicated, send
from tests.fixtures.waiting import LIMIT_SECONDS, until

FACES = vectors(2000, seed=4)
WORKERS = 4
PERSONS = 25  # that are to be enrolled before and after the failover
TRANSIENT = {Reason.STORE_UNAVAILABLE, Reason.OVERLOADED}


@pytest.fixture
def servers() -> Iterator[Replication]:
    """A primary whose commits wait for its standby."""
    with replicated() as replication:
        asyncio.run(wait_for_standby(replication))
        yield replication


async def wait_for_standby(servers: Replication) -> None:
    names = servers.standbys[0].application_name
    for statement in (f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()"):
        await fetch(servers.primary, statement)

    async def synchronous() -> bool:
        return bool(await fetch(servers.primary, "SELECT sync_state = 'sync' FROM pg_stat_replication"))

    await until(synchronous)


class Enrolling:
    """Callers that enroll one person after another, each with a request id, until it is acknowledged."""

    def __init__(self, matcher: RunningMatcher) -> None:
        self._matcher = matcher
        self.acknowledged: list[str] = []
        self.failures: set[Reason | None] = set()
        self._tasks = [asyncio.create_task(self._enroll(worker)) for worker in range(WORKERS)]

    async def _enroll(self, worker: int) -> None:
        for number in range(worker, len(FACES), WORKERS):
            request = enroll(f"p{number}", encoding(FACES[number]), request_id=f"request {number}")
            await until(functools.partial(self._acknowledges, request))
            self.acknowledged.append(request.person_id)

    async def _acknowledges(self, request: pb.EnrollRequest) -> bool:
        try:
            await self._matcher.stub.Enroll(request, timeout=LIMIT_SECONDS)
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error, "the matcher")
            assert failure.reason in TRANSIENT, failure
            assert failure.retry_after_seconds is not None
            self.failures.add(failure.reason)
            return False
        return True

    async def more(self, persons: int) -> None:
        """Wait until so many more are acknowledged."""
        wanted = len(self.acknowledged) + persons
        await until(lambda: len(self.acknowledged) >= wanted or any(task.done() for task in self._tasks))

    async def stop(self) -> None:
        """End; raises what went wrong."""
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


async def faces_of(server: EmbeddedPostgres) -> dict[str, int]:
    """The number of faces of each person."""
    person, face = (partition_name(each, "default") for each in ("person", "face"))
    rows = await fetch(
        server,
        f"SELECT jsonb_object_agg(person_id, faces)::text FROM (SELECT p.person_id, count(*) AS faces"
        f" FROM facerec.{person} p JOIN facerec.{face} f USING (person_key) GROUP BY 1) AS each",
    )
    return dict(json.loads(rows or "{}"))


async def test_enrollments_go_on_over_a_failover_and_none_is_lost_or_doubled(
    servers: Replication, start_matcher: StartMatcher
) -> None:
    standby = servers.standbys[0]
    matcher = await start_matcher(servers.url, read_database_urls=servers.read_urls)
    enrolling = Enrolling(matcher)
    await enrolling.more(PERSONS)
    kill(servers.primary)
    standby.promote()
    await enrolling.more(PERSONS)
    await enrolling.stop()
    assert enrolling.failures <= TRANSIENT
    faces = await faces_of(standby)
    assert [each for each in enrolling.acknowledged if each not in faces] == []
    assert {each: count for each, count in faces.items() if count != 1} == {}
    assert await is_found_at_once(matcher)


async def test_an_import_goes_on_over_a_failover_and_no_row_is_lost_or_doubled(
    servers: Replication, start_matcher: StartMatcher
) -> None:
    matcher = await start_matcher(servers.url)
    names, faces, rows = people(300), FACES[:300], 100  # of a chunk
    asked = transfer_pb2.GetImportRequest(import_id="first")

    async def next_row() -> int:
        return int((await matcher.stub.GetImport(asked)).next_row)

    async def first_is_in() -> bool:
        return await next_row() == rows

    async def chunks(first_row: int) -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header(first_row=first_row)
        for row in range(first_row, len(names), rows):
            yield chunk(faces[row : row + rows], names[row : row + rows])
            if row == 0:
                await until(first_is_in)
                kill(servers.primary)
                servers.standbys[0].promote()

    async def finished() -> bool:
        """Import what is not in; the stream may go on by itself, or be refused while there is no primary."""
        try:
            return bool((await send_each(matcher, chunks(await next_row()))).next_row == len(names))
        except grpc.aio.AioRpcError as error:
            assert from_rpc_error(error, "the matcher").reason in TRANSIENT
            return False

    await until(finished)
    assert await faces_of(servers.standbys[0]) == dict.fromkeys(names[::2], 2)


async def test_without_a_primary_no_standby_answers_as_nobody_knows_what_it_lacks(
    servers: Replication, start_matcher: StartMatcher
) -> None:
    matcher = await reading(start_matcher, servers)
    _, probe = await enroll_next(matcher)
    kill(servers.primary)
    for _ in range(3):
        with refused(Reason.STORE_UNAVAILABLE):
            await identify(matcher, probe)


async def test_maintenance_and_migration_find_the_primary_too(servers: Replication) -> None:
    kill(servers.primary)
    with pytest.raises(migrations.MigrationError):
        await migrations.migrate(servers.url)
    servers.standbys[0].promote()
    assert await migrations.migrate(servers.url) == []
    assert await runner.run_once(MaintenanceOptions(servers.url))


async def test_connections_to_a_primary_that_hangs_are_left_for_its_successor(
    servers: Replication, start_matcher: StartMatcher
) -> None:
    matcher = await start_matcher(servers.url, statement_timeout_seconds=1)
    await enroll_next(matcher)
    send(servers.primary, signal.SIGSTOP)
    servers.standbys[0].promote()

    async def answers() -> bool:
        try:
            return await is_found_at_once(matcher)
        except grpc.aio.AioRpcError as error:
            assert from_rpc_error(error, "the matcher").reason in TRANSIENT
            return False

    await until(answers)


async def test_a_primary_that_comes_back_after_a_promotion_gets_no_connection(
    servers: Replication, start_matcher: StartMatcher
) -> None:
    """It does not know that it was succeeded, and is the first host of the URL."""
    matcher = await start_matcher(servers.url)
    await enroll_next(matcher)
    kill(servers.primary)
    servers.standbys[0].promote()
    await until(lambda: enrolls(matcher))
    await fetch(servers.standbys[0], "SELECT pg_current_wal_lsn()")
    servers.primary.start()
    await matcher.service._database._pools.renew()  # so that every connection is a new one
    person_id, _ = await enroll_next(matcher)
    assert person_id in await faces_of(servers.standbys[0])
    assert person_id not in await faces_of(servers.primary)


async def enrolls(matcher: RunningMatcher) -> bool:
    try:
        await enroll_next(matcher)
    except grpc.aio.AioRpcError as error:
        assert from_rpc_error(error, "the matcher").reason in TRANSIENT
        return False
    return True


async def test_a_connection_that_accepts_no_writes_is_replaced_and_the_call_answered(
    start_matcher: StartMatcher, database_url: str
) -> None:
    """As a pooler's connection is, whose server became a standby."""
    matcher = await start_matcher(database_url, pool_max_size=1)
    database: Database = matcher.service._database
    for _ in range(3):
        async with database.session() as session:
            await session.connection.execute("SET default_transaction_read_only = on")
        await enroll_next(matcher)


async def test_where_no_connection_accepts_writes_the_store_is_unavailable(
    start_matcher: StartMatcher, database_url: str
) -> None:
    url = database_url + "&options=-c%20default_transaction_read_only%3Don"
    matcher = await start_matcher(url)
    with refused(Reason.STORE_UNAVAILABLE):
        await enroll_next(matcher)


async def time_out(servers: Replication) -> None:
    """The matcher does not wait any longer."""


async def cancel(servers: Replication) -> None:
    """An operator ends the wait of a session that waits; Postgres commits all the same, and only warns."""
    waits = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'facerec-matcher'"

    async def waiting() -> bool:
        return bool(await fetch(servers.primary, f"SELECT pg_cancel_backend(pid) {waits}"))

    await until(waiting)


@pytest.mark.parametrize(
    ("end", "message", "seconds"), [(time_out, "cannot be used", 1), (cancel, "no standby has confirmed", 60)]
)
async def test_a_change_that_no_standby_confirms_is_not_acknowledged(
    servers: Replication,
    start_matcher: StartMatcher,
    end: Callable[[Replication], Awaitable[None]],
    message: str,
    seconds: float,
) -> None:
    matcher = await start_matcher(servers.url, statement_timeout_seconds=seconds)
    request = enroll("ann", encoding(FACES[0]), request_id="of ann")
    send(servers.standbys[0], signal.SIGSTOP)
    try:
        call = asyncio.ensure_future(matcher.stub.Enroll(request, timeout=LIMIT_SECONDS))
        await end(servers)
        with refused(Reason.STORE_UNAVAILABLE, message=message):
            await call
        assert await faces_of(servers.primary) == {"ann": 1}
    finally:
        send(servers.standbys[0], signal.SIGCONT)

    async def acknowledged() -> bool:
        try:
            await matcher.stub.Enroll(request)
        except grpc.aio.AioRpcError as error:
            assert from_rpc_error(error, "the matcher").reason in TRANSIENT
            return False
        return True

    await until(acknowledged)
    await servers.caught_up(servers.standbys[0])
    assert await faces_of(servers.standbys[0]) == {"ann": 1}


async def test_a_server_that_accepts_and_says_nothing_delays_no_connection_to_another(
    servers: Replication,
) -> None:
    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        folder = servers.primary.socket_folder
        url = f"postgresql://postgres@/postgres?host=127.0.0.1,{folder}&port={port},5432&sslmode=disable"
        connection = await address.connect(url, seconds=LIMIT_SECONDS)
        assert not await connection.fetchval("SELECT pg_is_in_recovery()")
        await connection.close()
        assert writers
        for writer in writers:
            writer.close()
    standby = servers.standbys[0].url().replace("&target_session_attrs=any", "")
    with pytest.raises(NoPrimary):
        await address.connect(standby, seconds=LIMIT_SECONDS)
