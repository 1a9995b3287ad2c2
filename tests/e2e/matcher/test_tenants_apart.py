"""What becomes of one collection keeps nobody waiting in another."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import grpc
import grpc.aio
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from matcher_service.queries import partition_name
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher

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


async def test_a_deletion_that_waits_for_a_report_keeps_no_other_tenant_waiting(
    start_matcher: StartMatcher, database_url: str, report: asyncpg.Connection
) -> None:
    """A fresh session, which knows nothing of the schema yet, is the one that would have to wait."""
    deleting, others = [await start_matcher(database_url) for _ in range(2)]
    await collections(deleting, pb.CreateCollectionRequest(collection_id="gone"))
    async with report.transaction():
        await report.execute(REPORT)
        deletion = asyncio.create_task(
            collections(deleting, pb.DeleteCollectionRequest(collection_id="gone"))
        )
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await others.stub.Enroll(enroll("ann", FACE, request_id="r"))
        await collections(others, pb.CreateCollectionRequest(collection_id="new"))
        await others.stub.Enroll(enroll("ann", FACE, collection_id="new"))
        assert time.monotonic() - began < 1
        assert not deletion.done()
    await deletion


async def test_a_deletion_that_waits_lets_its_own_tenants_calls_through(
    start_matcher: StartMatcher, database_url: str, report: asyncpg.Connection
) -> None:
    """Queued behind it they would take every connection there is."""
    matcher = await start_matcher(database_url, pool_max_size=3)
    await collections(matcher, pb.CreateCollectionRequest(collection_id="gone"))
    await matcher.stub.Enroll(enroll("ann", FACE, collection_id="gone"))
    claim = pb.VerifyRequest(person_id="ann", probe=FACE, collection_id="gone")
    async with report.transaction():
        await report.execute(f"SELECT FROM facerec.{partition_name('face', 'gone')}")
        deletion = asyncio.create_task(collections(matcher, pb.DeleteCollectionRequest(collection_id="gone")))
        await asyncio.sleep(0.2)
        for _ in range(5):
            began = time.monotonic()
            answers = await asyncio.gather(*(matcher.stub.Verify(claim) for _ in range(20)))
            assert all(answer.match for answer in answers)
            assert time.monotonic() - began < 1
        assert not deletion.done()
    await deletion
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await matcher.stub.Verify(claim)


async def test_a_deletion_may_take_longer_than_other_statements(
    start_matcher: StartMatcher, database_url: str, report: asyncpg.Connection
) -> None:
    """As counting a large collection does; here it is a lock that takes it so long."""
    matcher = await start_matcher(database_url, statement_timeout_seconds=0.2, scan_timeout_seconds=0.2)
    await collections(matcher, pb.CreateCollectionRequest(collection_id="gone"))
    async with report.transaction():
        await report.execute(f"SELECT FROM facerec.{partition_name('face', 'gone')}")
        deletion = asyncio.create_task(collections(matcher, pb.DeleteCollectionRequest(collection_id="gone")))
        await asyncio.sleep(1.5)
        assert not deletion.done()
    await deletion


async def test_a_deletion_that_cannot_be_made_in_time_says_so_and_changes_nothing(
    matcher: RunningMatcher, report: asyncpg.Connection
) -> None:
    await collections(matcher, pb.CreateCollectionRequest(collection_id="kept"))
    await matcher.stub.Enroll(enroll("ann", FACE, collection_id="kept"))
    async with report.transaction():
        await report.execute(f"SELECT FROM facerec.{partition_name('person', 'kept')}")
        with refused(Reason.OVERLOADED):
            await collections(matcher, pb.DeleteCollectionRequest(collection_id="kept"))
    claim = pb.VerifyRequest(person_id="ann", probe=FACE, collection_id="kept")
    assert (await matcher.stub.Verify(claim)).match
