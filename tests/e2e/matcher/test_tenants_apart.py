"""Changes of one collection delay no call to another."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import grpc
import grpc.aio
import pytest

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import LOCKED, connections
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import until

FACE = encoding(vectors(1)[0])
REPORT = "SELECT count(*) FROM facerec.face WHERE collection_id = 'default'"  # through the parent


@pytest.fixture
async def report(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection to the database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def collections(matcher: RunningMatcher, request: object) -> None:
    """Ask CollectionService."""
    method = type(request).__name__.removesuffix("Request")
    async with grpc.aio.insecure_channel(matcher.address) as channel:
        await getattr(matcher_pb2_grpc.CollectionServiceStub(channel), method)(request)


async def delete(matcher: RunningMatcher, collection_id: str) -> None:
    """Delete a collection, asking again where its lock was not got in time."""
    while True:
        try:
            await collections(matcher, pb.DeleteCollectionRequest(collection_id=collection_id, force=True))
            return
        except grpc.aio.AioRpcError as error:
            assert from_rpc_error(error, "").reason is Reason.OVERLOADED


async def waits(database_url: str) -> bool:
    """Whether some connection of a matcher waits for a lock."""
    return await connections(database_url, LOCKED) > 0


async def test_a_deletion_that_waits_for_a_report_delays_no_other_tenant(
    start_matcher: StartMatcher, database_url: str, report: asyncpg.Connection
) -> None:
    """A fresh session, which knows nothing of the schema yet, is the one that would have to wait."""
    deleting, others = [await start_matcher(database_url) for _ in range(2)]
    await collections(deleting, pb.CreateCollectionRequest(collection_id="gone"))
    async with report.transaction():
        await report.execute(REPORT)
        deletion = asyncio.create_task(delete(deleting, "gone"))
        await until(lambda: waits(database_url))
        await others.stub.Enroll(enroll("ann", FACE, request_id="r"))
        await collections(others, pb.CreateCollectionRequest(collection_id="new"))
        await others.stub.Enroll(enroll("ann", FACE, collection_id="new"))
        assert not deletion.done()
    await deletion


async def test_a_waiting_deletion_lets_calls_of_its_own_tenant_through(
    start_matcher: StartMatcher, database_url: str, report: asyncpg.Connection
) -> None:
    """Queued behind it they would take every connection there is."""
    matcher = await start_matcher(database_url, pool_max_size=3)
    await collections(matcher, pb.CreateCollectionRequest(collection_id="gone"))
    await matcher.stub.Enroll(enroll("ann", FACE, collection_id="gone"))
    claim = pb.VerifyRequest(person_id="ann", probe=FACE, collection_id="gone")
    async with report.transaction():
        await report.execute(f"SELECT FROM facerec.{partition_name('face', 'gone')}")
        deletion = asyncio.create_task(delete(matcher, "gone"))
        await until(lambda: waits(database_url))
        for _ in range(5):
            answers = await asyncio.gather(*(matcher.stub.Verify(claim) for _ in range(20)))
            assert all(answer.match for answer in answers)
        assert not deletion.done()
    await deletion
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await matcher.stub.Verify(claim)


async def test_a_deletion_may_take_longer_than_other_statements(
    start_matcher: StartMatcher, database_url: str, report: asyncpg.Connection
) -> None:
    """As counting a large collection does; here it is a lock that takes it so long."""
    patient = await start_matcher(database_url)
    matcher = await start_matcher(database_url, statement_timeout_seconds=0.2, scan_timeout_seconds=0.2)
    await collections(patient, pb.CreateCollectionRequest(collection_id="gone"))
    async with report.transaction():
        await report.execute(f"SELECT FROM facerec.{partition_name('face', 'gone')}")
        deletion = asyncio.create_task(
            collections(matcher, pb.DeleteCollectionRequest(collection_id="gone", force=True))
        )

        async def runs_long() -> bool:
            running = "state = 'active' AND query_start < clock_timestamp() - interval '1 s'"
            return await connections(database_url, running) > 0

        await until(runs_long)
    await deletion


async def test_a_deletion_that_gets_no_lock_in_time_is_refused_and_changes_nothing(
    matcher: RunningMatcher, report: asyncpg.Connection
) -> None:
    await collections(matcher, pb.CreateCollectionRequest(collection_id="kept"))
    await matcher.stub.Enroll(enroll("ann", FACE, collection_id="kept"))
    async with report.transaction():
        await report.execute(f"SELECT FROM facerec.{partition_name('person', 'kept')}")
        with refused(Reason.OVERLOADED):
            await collections(matcher, pb.DeleteCollectionRequest(collection_id="kept", force=True))
    claim = pb.VerifyRequest(person_id="ann", probe=FACE, collection_id="kept")
    assert (await matcher.stub.Verify(claim)).match


async def test_a_collection_with_people_is_erased_with_force_only(
    matcher: RunningMatcher, report: asyncpg.Connection
) -> None:
    await collections(matcher, pb.CreateCollectionRequest(collection_id="kept"))
    await matcher.stub.Enroll(enroll("ann", FACE, collection_id="kept"))
    with refused(Reason.COLLECTION_NOT_EMPTY, "force"):
        await collections(matcher, pb.DeleteCollectionRequest(collection_id="kept"))
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(collection_id="kept", person_id="ann"))
    await collections(matcher, pb.DeleteCollectionRequest(collection_id="kept"))
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await matcher.stub.GetPerson(pb.GetPersonRequest(collection_id="kept", person_id="ann"))


async def test_somebody_enrolled_while_a_deletion_without_force_waits_is_kept(
    matcher: RunningMatcher, report: asyncpg.Connection, database_url: str
) -> None:
    await collections(matcher, pb.CreateCollectionRequest(collection_id="kept"))
    people = partition_name("person", "kept")
    async with report.transaction():
        await report.execute(
            f"INSERT INTO facerec.{people} (collection_id, person_id) VALUES ('kept', 'ann')"
        )
        without = pb.DeleteCollectionRequest(collection_id="kept")
        deletion = asyncio.create_task(collections(matcher, without))

        async def waits() -> bool:
            return await connections(database_url, LOCKED) > 0

        await until(waits)
    with refused(Reason.COLLECTION_NOT_EMPTY, "force"):
        await deletion
    assert await report.fetchval(f"SELECT count(*) FROM facerec.{people}") == 1
