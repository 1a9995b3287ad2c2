"""Long work with a request id is done once, also if caller or replica go, and its answer is had again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc
import grpc.aio
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import calibration_pb2, matcher_pb2_grpc, review_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.operations import operations
from tests.benchmarks.vectors import Dataset
from tests.e2e.matcher.blocking import held, waiting
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.dataset import load
from tests.fixtures.matcher import MatcherProcess, RunningMatcher, StartMatcher
from tests.fixtures.waiting import until

PEOPLE = Dataset(120, photos=2, even=True, seed=21).all()
NO_CALIBRATION_STORED = "LOCK TABLE facerec.calibration IN SHARE MODE"  # by a run, while this is held
PATIENT_SECONDS = 60.0  # for a lock


@pytest.fixture
async def filled(administrator: asyncpg.Connection) -> asyncpg.Connection:
    """A superuser's connection to a database with people."""
    await load(administrator, PEOPLE)
    return administrator


@pytest.fixture
async def patient_pair(
    start_matcher: StartMatcher, database_url: str, filled: asyncpg.Connection
) -> list[RunningMatcher]:
    """Two matchers over that database, that wait for locks as long as a test holds them."""
    return [await start_matcher(database_url, lock_timeout_seconds=PATIENT_SECONDS) for _ in range(2)]


def request(request_id: str = "r1", **fields: Any) -> calibration_pb2.CalibrateRequest:
    return calibration_pb2.CalibrateRequest(request_id=request_id, target_fmr=0.1, **fields)


async def connections_wait(connection: asyncpg.Connection, count: int) -> bool:
    """Whether so many connections of this database wait for a lock."""
    waiting_now = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return bool(await connection.fetchval(waiting_now) == count)


async def rows(connection: asyncpg.Connection, table: str) -> int:
    return int(await connection.fetchval(f"SELECT count(*) FROM facerec.{table}"))


@contextlib.asynccontextmanager
async def begun(matcher: RunningMatcher, database_url: str) -> AsyncIterator[Any]:
    """A call whose work is about to store its calibration, and does with the end of the block."""
    async with held(database_url, NO_CALIBRATION_STORED):
        call = matcher.collections.Calibrate(request())
        await waiting(database_url)
        yield call


async def test_work_goes_on_when_its_caller_hangs_up_and_is_answered_to_who_asks_again(
    patient_pair: list[RunningMatcher], database_url: str, filled: asyncpg.Connection
) -> None:
    here, there = patient_pair
    async with begun(here, database_url) as call:
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        again = [
            asyncio.ensure_future(each.collections.Calibrate(request())) for each in (here, there, there)
        ]
        with pytest.raises(grpc.aio.AioRpcError) as impatient:
            await there.collections.Calibrate(request(), timeout=0.3)
        assert impatient.value.code() in (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,  # half of so little time was too short for a new connection
        )
        assert not any(each.done() for each in again)
    answers = [await each for each in again]
    answers += [await each.collections.Calibrate(request(collection_id="default")) for each in patient_pair]
    assert answers[0].calibration.impostor_persons == 120
    assert answers == [answers[0]] * 5
    assert await rows(filled, "calibration") == await rows(filled, "operation") == 1


async def test_another_replica_takes_over_the_work_of_one_that_was_killed(
    start_matcher: StartMatcher, database_url: str, filled: asyncpg.Connection
) -> None:
    survivor = await start_matcher(database_url, lock_timeout_seconds=PATIENT_SECONDS)
    process = MatcherProcess(database_url, "--lock-timeout-seconds", str(PATIENT_SECONDS))
    try:
        process.event("database_ready")
        async with grpc.aio.insecure_channel(process.address) as channel:
            async with held(database_url, NO_CALIBRATION_STORED):
                lost = matcher_pb2_grpc.CollectionServiceStub(channel).Calibrate(request())
                await waiting(database_url)
                again = asyncio.ensure_future(survivor.collections.Calibrate(request()))
                await asyncio.to_thread(process.kill)
                with pytest.raises(grpc.aio.AioRpcError):
                    await lost
            # As if the lease's seconds had passed.
            await filled.execute("UPDATE facerec.operation SET lease_end_time = now()")
            assert (await again).calibration.impostor_persons == 120
    finally:
        process.kill()
    assert await survivor.collections.Calibrate(request()) == await again
    assert await rows(filled, "calibration") == await rows(filled, "operation") == 1


async def test_a_run_that_was_taken_over_stores_nothing(
    patient_pair: list[RunningMatcher], database_url: str, filled: asyncpg.Connection
) -> None:
    here, there = patient_pair
    async with begun(here, database_url):
        await filled.execute("UPDATE facerec.operation SET lease_end_time = now()")
        again = asyncio.ensure_future(there.collections.Calibrate(request()))
        await until(lambda: connections_wait(filled, 2))
    answer = await again
    assert await here.collections.Calibrate(request()) == answer
    stored = await filled.fetchval("SELECT calibration_id::text FROM facerec.calibration")
    assert answer.calibration.calibration_id == stored
    assert await rows(filled, "calibration") == 1


async def test_a_replica_that_works_is_not_taken_for_dead(
    patient_pair: list[RunningMatcher],
    database_url: str,
    filled: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operations, "RENEWAL_SECONDS", 0.02)
    async with begun(patient_pair[0], database_url):
        await filled.execute("UPDATE facerec.operation SET lease_end_time = 'epoch'")
        renewed = "SELECT lease_end_time > now() + interval '10 seconds' FROM facerec.operation"
        await until(lambda: filled.fetchval(renewed))
    assert (await patient_pair[1].collections.Calibrate(request())).calibration.impostor_persons == 120
    assert await rows(filled, "calibration") == 1


async def test_work_whose_row_is_deleted_ends(
    patient_pair: list[RunningMatcher],
    database_url: str,
    filled: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operations, "RENEWAL_SECONDS", 0.02)
    async with begun(patient_pair[0], database_url) as call:
        call.cancel()
        await filled.execute("DELETE FROM facerec.operation")
        await until(lambda: connections_wait(filled, 0))
    assert await rows(filled, "calibration") == await rows(filled, "operation") == 0


async def test_a_replica_that_stops_leaves_its_work_to_others_at_once(
    patient_pair: list[RunningMatcher], database_url: str, filled: asyncpg.Connection
) -> None:
    here, there = patient_pair
    async with begun(here, database_url) as call:
        call.cancel()
        await here.service.stop()
        assert await rows(filled, "operation") == 0
    assert (await there.collections.Calibrate(request())).calibration.impostor_persons == 120
    assert await rows(filled, "calibration") == 1


async def test_an_id_is_of_one_request_and_is_free_again_after_a_failure(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    with refused(Reason.CALIBRATION_UNSUPPORTED):
        await matcher.collections.Calibrate(request())
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await matcher.collections.Calibrate(request(collection_id="nowhere"))
    assert await rows(administrator, "operation") == 0
    await load(administrator, PEOPLE)
    first = await matcher.collections.Calibrate(request())
    delete = pb.DeleteCollectionRequest(collection_id="default", request_id="r1")
    measure = review_pb2.MeasureRecallRequest(request_id="r1")
    for method, other in (
        (matcher.collections.Calibrate, request(max_persons=50)),
        (matcher.collections.MeasureRecall, measure),
        (matcher.collections.DeleteCollection, delete),
    ):
        with refused(Reason.REQUEST_ID_REUSED, "request_id"):
            await method(other)
    assert await matcher.collections.Calibrate(request()) == first
    assert await matcher.collections.Calibrate(request("r2")) != first
    with refused(Reason.ID_INVALID, "request_id"):
        await matcher.collections.Calibrate(request("r" * 129))


async def test_a_stored_answer_names_nobody(matcher: RunningMatcher, filled: asyncpg.Connection) -> None:
    twin = PEOPLE.encodings[0] + vectors(1)[0] / 1000
    await matcher.stub.Enroll(enroll("annabel", encoding(twin)))
    plain = await matcher.collections.Calibrate(calibration_pb2.CalibrateRequest(target_fmr=0.1))
    assert "annabel" in str(plain.calibration.likely_duplicates)
    kept = (await matcher.collections.Calibrate(request("of annabel"))).calibration
    assert not kept.likely_duplicates
    assert kept.impostor_persons == 121
    (row,) = await filled.fetch("SELECT * FROM facerec.operation")
    assert calibration_pb2.CalibrateResponse.FromString(row["answer"]).calibration == kept
    assert "annabel" not in str(row)


async def test_a_deletion_asked_for_again_answers_its_receipt(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await matcher.collections.CreateCollection(pb.CreateCollectionRequest(collection_id="visitors"))
    await load(administrator, PEOPLE, "visitors")
    await matcher.collections.Calibrate(request(collection_id="visitors"))
    await matcher.collections.Calibrate(request("running", collection_id="visitors"))
    gentle = pb.DeleteCollectionRequest(collection_id="visitors", request_id="d1")
    with refused(Reason.COLLECTION_NOT_EMPTY, "force"):
        await matcher.collections.DeleteCollection(gentle)
    delete = pb.DeleteCollectionRequest(collection_id="visitors", request_id="d1", force=True)
    receipt = await matcher.collections.DeleteCollection(delete)
    assert (receipt.collections_deleted, receipt.persons_deleted, receipt.faces_deleted) == (1, 120, 240)
    assert await matcher.collections.DeleteCollection(delete) == receipt
    assert [each["method"] for each in await administrator.fetch("SELECT method FROM facerec.operation")] == [
        "DeleteCollection"
    ]
    await matcher.collections.CreateCollection(pb.CreateCollectionRequest(collection_id="visitors"))
    assert await matcher.collections.DeleteCollection(delete) == receipt
    await matcher.collections.GetCollection(pb.GetCollectionRequest(collection_id="visitors"))
    with refused(Reason.CALIBRATION_UNSUPPORTED):  # of the collection that is there now
        await matcher.collections.Calibrate(request(collection_id="visitors"))
    events = "SELECT count(*) FROM facerec.audit WHERE action = 'DELETE_COLLECTION'"
    assert await administrator.fetchval(events) == 1


async def test_runs_beyond_the_limit_are_refused(
    start_matcher: StartMatcher,
    database_url: str,
    filled: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operations, "MAX_RUNS", 1)
    matcher = await start_matcher(database_url, lock_timeout_seconds=PATIENT_SECONDS, pool_wait_seconds=0.1)
    async with begun(matcher, database_url) as call:
        with refused(Reason.OVERLOADED, message="request id"):
            await matcher.collections.Calibrate(request("r2"))
    await call
    await matcher.collections.Calibrate(request("r2"))


async def test_work_that_takes_too_long_is_ended(
    patient_pair: list[RunningMatcher], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MAX_RUN_SECONDS", 0.5)
    async with held(database_url, NO_CALIBRATION_STORED):
        with refused(Reason.DEADLINE_EXCEEDED):
            await patient_pair[0].collections.Calibrate(request())


async def test_answers_are_deleted_after_the_retention_of_request_ids(
    matcher: RunningMatcher, filled: asyncpg.Connection, database_url: str
) -> None:
    first = await matcher.collections.Calibrate(request())
    delete = pb.DeleteCollectionRequest(collection_id="gone", request_id="d")
    await matcher.collections.DeleteCollection(delete)
    await filled.execute("UPDATE facerec.operation SET create_time = now() - interval '30 days 1 hour'")
    for kept_days in (0, 31):
        await runner.run_once(MaintenanceOptions(database_url, request_retention_days=kept_days))
        assert await matcher.collections.Calibrate(request()) == first
    await runner.run_once(MaintenanceOptions(database_url))
    assert await rows(filled, "operation") == 0
    assert await matcher.collections.Calibrate(request()) != first
