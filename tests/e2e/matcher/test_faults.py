"""The errors of a matcher whose database or encoder is down, and its recovery without a restart."""

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from facerec.errors import Reason
from facerec.local.postgres import EmbeddedPostgres
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres import migrations
from matcher_service.service import COLLECTIONS, MATCHER
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import LOCKED, connections
from tests.fixtures.matcher import MatcherProcess, RunningMatcher, StartMatcher
from tests.fixtures.waiting import LIMIT_SECONDS, until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
PROBE = encoding(vectors(1)[0])
CLAIM = pb.VerifyRequest(person_id="ann", probe=PROBE)


async def health(matcher: RunningMatcher, name: str = MATCHER) -> int:
    async with grpc.aio.insecure_channel(matcher.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        check = stub.Check  # type: ignore[attr-defined]
        return int((await check(health_pb2.HealthCheckRequest(service=name))).status)


@pytest.fixture
def own_postgres() -> Iterator[EmbeddedPostgres]:
    """A Postgres that the test may kill."""
    with tempfile.TemporaryDirectory(prefix="facerec-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with EmbeddedPostgres.open(Path(folder) / "data") as server:
            yield server


async def test_calls_survive_a_killed_postgres_without_a_restart_of_the_matcher(
    own_postgres: EmbeddedPostgres, start_matcher: StartMatcher
) -> None:
    await migrations.migrate(own_postgres.url())
    matcher = await start_matcher(own_postgres.url())
    await matcher.stub.Enroll(enroll("ann", PROBE))
    own_postgres.child.send(signal.SIGKILL)
    await asyncio.to_thread(own_postgres.child.wait, LIMIT_SECONDS)

    async def answers() -> bool:
        try:
            return bool((await matcher.stub.Verify(CLAIM)).match)
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            return False

    async def is_down() -> bool:
        return not await answers()

    await until(is_down)  # the server's processes of each connection outlive it, until they notice
    for _ in range(3):
        with refused(Reason.STORE_UNAVAILABLE):
            await matcher.stub.Verify(CLAIM)
        with refused(Reason.STORE_UNAVAILABLE):
            await matcher.stub.Enroll(enroll("ben", PROBE))
    own_postgres.start()
    await until(answers)


async def test_a_matcher_started_before_its_postgres_serves_once_it_is_up(
    own_postgres: EmbeddedPostgres, start_matcher: StartMatcher
) -> None:
    await migrations.migrate(own_postgres.url())
    url = own_postgres.url()
    own_postgres.child.send(signal.SIGKILL)
    await asyncio.to_thread(own_postgres.child.wait, LIMIT_SECONDS)
    matcher = await start_matcher(url)
    assert await health(matcher) == NOT_SERVING
    with refused(Reason.STORE_UNAVAILABLE, message="not been reached yet"):
        await matcher.stub.Verify(CLAIM)
    own_postgres.start()

    async def serving() -> bool:
        return await health(matcher) == SERVING

    await until(serving)


async def test_a_matcher_is_not_ready_with_a_schema_too_old_or_too_new(
    start_matcher: StartMatcher, empty_database_url: str
) -> None:
    matcher = await start_matcher(empty_database_url)
    for name in (MATCHER, COLLECTIONS, ""):
        assert await health(matcher, name) == NOT_SERVING
    with refused(Reason.STORE_UNAVAILABLE, message="run `matcher_service migrate`"):
        await matcher.stub.Verify(CLAIM)
    await migrations.migrate(empty_database_url)

    async def serving() -> bool:
        return await health(matcher) == SERVING

    async def not_serving() -> bool:
        return not await serving()

    await until(serving)
    await matcher.stub.Enroll(enroll("ann", PROBE))
    connection = await asyncpg.connect(empty_database_url)
    try:
        for version, message in ((99, "run a newer release"), (None, "run `matcher_service migrate`")):
            if version is None:
                await connection.execute("UPDATE facerec.schema_migration SET version = -version")
            else:
                await connection.execute("INSERT INTO facerec.schema_migration VALUES (99, 'later', '')")
            await until(not_serving)
            with refused(Reason.STORE_UNAVAILABLE, message=message):
                await matcher.stub.Verify(CLAIM)
            await connection.execute(
                "DELETE FROM facerec.schema_migration WHERE version = 99;"
                "UPDATE facerec.schema_migration SET version = abs(version)"
            )
            await until(serving)
            assert (await matcher.stub.Verify(CLAIM)).match
    finally:
        await connection.close()


async def test_a_full_pool_refuses_within_the_callers_deadline(
    start_matcher: StartMatcher, database_url: str, administrator: asyncpg.Connection
) -> None:
    matcher = await start_matcher(
        database_url,
        pool_max_size=2,
        pool_wait_seconds=60,
        lock_timeout_seconds=60,
        statement_timeout_seconds=60,
    )
    enrolled = await matcher.stub.Enroll(enroll("ann", PROBE))
    pair = pb.CompareRequest(probe_a=PROBE, probe_b=pb.Probe(face_id=enrolled.faces[0].face.face_id))
    async with administrator.transaction():
        await administrator.execute("LOCK TABLE facerec.face")
        # Concurrent claims share a connection, and so do pairs.
        held = [
            asyncio.ensure_future(each) for each in (matcher.stub.Verify(CLAIM), matcher.stub.Compare(pair))
        ]

        async def full() -> bool:
            return await connections(database_url, LOCKED) == 2

        await until(full)
        with refused(Reason.OVERLOADED):
            await matcher.stub.Verify(CLAIM, timeout=3)
    assert [(await call).match for call in held] == [True, True]


async def test_a_lock_or_a_statement_is_not_waited_for_beyond_its_timeout(
    start_matcher: StartMatcher, database_url: str, administrator: asyncpg.Connection
) -> None:
    locks = await start_matcher(database_url, lock_timeout_seconds=0.1)
    statements = await start_matcher(database_url, statement_timeout_seconds=0.1)
    await locks.stub.Enroll(enroll("ann", PROBE))
    for matcher in (locks, statements):
        async with administrator.transaction():
            await administrator.execute("LOCK TABLE facerec.face")
            with refused(Reason.OVERLOADED):
                await matcher.stub.Verify(CLAIM)
            with refused(Reason.OVERLOADED):
                await matcher.stub.Enroll(enroll("ben", PROBE))
        assert (await answered(matcher)).match
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await locks.stub.GetPerson(pb.GetPersonRequest(person_id="ben"))


async def test_a_connection_lost_during_a_call_is_reported_and_replaced(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    await matcher.stub.Enroll(enroll("ann", PROBE))
    async with administrator.transaction():
        await administrator.execute("LOCK TABLE facerec.face")
        waiting = asyncio.ensure_future(matcher.stub.Verify(CLAIM))

        async def waits() -> bool:
            return await connections(database_url, LOCKED) > 0

        await until(waits)
        await administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'facerec-matcher' AND datname = current_database()"
        )
        with refused(Reason.STORE_UNAVAILABLE):
            await waiting
    assert (await answered(matcher)).match


async def answered(matcher: RunningMatcher) -> Any:
    """The first answer; until every lost connection is noticed, calls may still fail with one."""
    for _ in range(100):
        with contextlib.suppress(grpc.aio.AioRpcError):
            return await matcher.stub.Verify(CLAIM)
        await asyncio.sleep(0.05)
    return await matcher.stub.Verify(CLAIM)


async def test_without_an_encoder_images_are_refused_and_encodings_work(matcher: RunningMatcher) -> None:
    assert await health(matcher) == SERVING
    await matcher.stub.Enroll(enroll("ann", PROBE))
    photo = pb.Probe(image=b"\xff\xd8 a photo")
    for call, request in (
        (matcher.stub.Verify, pb.VerifyRequest(person_id="ann", probe=photo)),
        (matcher.stub.Identify, pb.IdentifyRequest(probes=[PROBE, photo])),
        (matcher.stub.Identify, pb.IdentifyRequest(probes=[photo], all_faces=True)),
        (matcher.stub.Compare, pb.CompareRequest(probe_a=PROBE, probe_b=photo)),
        (matcher.stub.Enroll, enroll("ben", PROBE, photo)),
    ):
        with refused(Reason.ENCODER_UNAVAILABLE, message="send an encoding instead"):
            await call(request, timeout=LIMIT_SECONDS)
    assert (await matcher.stub.Verify(CLAIM)).match
    found = await matcher.stub.Identify(pb.IdentifyRequest(probes=[PROBE]))
    assert [candidate.person_id for candidate in found.faces[0].candidates] == ["ann"]


async def test_another_server_at_the_encoders_address_counts_as_an_unavailable_encoder(
    matcher: RunningMatcher, start_matcher: StartMatcher, database_url: str
) -> None:
    """Another matcher listens there: its server knows no EncoderService."""
    lost = await start_matcher(database_url, encoder_address=matcher.address)
    with refused(Reason.ENCODER_UNAVAILABLE):
        await lost.stub.Verify(
            pb.VerifyRequest(person_id="ann", probe=pb.Probe(image=b"\xff\xd8 a photo")),
            timeout=LIMIT_SECONDS,
        )


def test_a_waiting_matcher_logs_what_it_waits_for_and_exits_0_when_stopped(empty_database_url: str) -> None:
    server = MatcherProcess(empty_database_url)
    assert "run `matcher_service migrate`" in server.event("database_check_failed")["why"]
    assert server.stop() == 0
