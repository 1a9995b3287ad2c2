"""Long calls with a request id: who may ask for the answer, and in whose name the work goes on."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import calibration_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.benchmarks.vectors import Dataset
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.matcher.blocking import held, waiting
from tests.e2e.matcher.requests import refused
from tests.fixtures.dataset import load
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import until

PEOPLE = Dataset(60, photos=2, even=True, seed=22).all()
CALIBRATE = calibration_pb2.CalibrateRequest(request_id="r", target_fmr=0.1)
NO_EVENT_STORED = "LOCK TABLE facerec.audit IN SHARE MODE"  # while this is held


@pytest.fixture
async def matcher(
    start_matcher: StartMatcher, database_url: str, keys_file: Callable[..., Path]
) -> RunningMatcher:
    keys = keys_file(
        entry("admin", "a", ["admin"]),
        entry("manager", "m", ["manage"], "scores = true"),
        entry("blind", "b", ["manage"]),
        entry("elsewhere", "e", ["manage"], 'scores = true\ncollections = ["other"]'),
    )
    return await start_matcher(database_url, keys_file=keys, lock_timeout_seconds=60)


async def test_a_stored_answer_is_only_for_who_may_make_the_call(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await load(administrator, PEOPLE)
    first = await matcher.collections.Calibrate(CALIBRATE, metadata=bearer("m"))
    assert await matcher.collections.Calibrate(CALIBRATE, metadata=bearer("a")) == first
    for key in ("b", "e"):
        with refused(Reason.NOT_PERMITTED, "collection_id"):
            await matcher.collections.Calibrate(CALIBRATE, metadata=bearer(key))
    delete = pb.DeleteCollectionRequest(collection_id="default", force=True, request_id="d")
    await matcher.collections.DeleteCollection(delete, metadata=bearer("a"))
    with refused(Reason.NOT_PERMITTED):
        await matcher.collections.DeleteCollection(delete, metadata=bearer("m"))


async def test_a_deletion_goes_on_in_the_name_of_its_caller_and_is_audited_once(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    await load(administrator, PEOPLE)
    delete = pb.DeleteCollectionRequest(collection_id="default", force=True, request_id="d")
    async with held(database_url, NO_EVENT_STORED):
        call = matcher.collections.DeleteCollection(delete, metadata=bearer("a"))
        await waiting(database_url)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    answered = "SELECT answer IS NOT NULL FROM facerec.operation"
    await until(lambda: administrator.fetchval(answered))
    receipt = await matcher.collections.DeleteCollection(delete, metadata=bearer("a"))
    assert (receipt.persons_deleted, receipt.faces_deleted) == (60, 120)
    events = await administrator.fetch(
        "SELECT caller, persons FROM facerec.audit WHERE action = 'DELETE_COLLECTION'"
    )
    assert [tuple(event) for event in events] == [("admin", 60)]
