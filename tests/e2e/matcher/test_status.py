"""A matcher tells those who run it whether it and what it uses work, and what waits."""

import asyncio
import datetime

import asyncpg
import pytest

import facerec
from facerec.client import AsyncCollectionClient, MatcherStatus, Queue
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service import readiness
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres import migrations
from tests.e2e.matcher.requests import SPACE, encoding, enroll, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import LIMIT_SECONDS, until

PROBE = encoding(vectors(1)[0])


async def status(matcher: RunningMatcher) -> MatcherStatus:
    async with AsyncCollectionClient(matcher.address) as client:
        return await client.get_status()


def queue(found: MatcherStatus, kind: str) -> Queue:
    (queue,) = (each for each in found.queues if each.kind == kind)
    return queue


async def test_a_matcher_that_is_well_says_what_it_uses_and_what_maintenance_did(
    start_matcher: StartMatcher, database_url: str, encoder_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "SUMMARY_SECONDS", 0.05)
    matcher = await start_matcher(database_url, encoder_address=encoder_address)
    await matcher.stub.Enroll(enroll("ann", PROBE))
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))

    async def pending(unvacuumed: int) -> bool:
        left = (await status(matcher)).maintenance
        return left is not None and left.unvacuumed_erasures == unvacuumed

    await until(lambda: pending(1))
    found = await status(matcher)
    assert (found.server_version, found.serving, found.standbys) == (facerec.__version__, True, ())
    assert datetime.timedelta(0) < found.uptime < datetime.timedelta(seconds=LIMIT_SECONDS)
    database, used, left = found.database, found.encoder, found.maintenance
    assert (database.ready, database.problem) == (True, "")
    assert database.schema_version == database.release_schema_version == migrations.head()
    assert database.check_time and left
    assert (used.reachable, used.space, used.server_version) == (True, SPACE, facerec.__version__)
    assert used.execution_provider == "CPUExecutionProvider"
    assert [step.step for step in left.steps] == ["audit", "erase", "keep"]
    assert all(step.success_time is None and not step.failures for step in left.steps)
    assert left.unscrubbed_erasures == 1 and left.oldest_erasure_time is not None
    assert abs(left.oldest_erasure_time - left.read_time) < datetime.timedelta(seconds=LIMIT_SECONDS)
    assert await runner.run_once(MaintenanceOptions(database_url))

    async def maintained() -> bool:
        left = (await status(matcher)).maintenance
        return left is not None and all(step.success_time for step in left.steps)

    await until(maintained)
    done = (await status(matcher)).maintenance
    assert done and done.unvacuumed_erasures == 0
    assert (done.oldest_erasure_time, done.unscrubbed_erasures) == (None, 1)  # it does not scrub by itself


async def test_calls_in_flight_and_those_that_wait_are_counted(
    start_matcher: StartMatcher, database_url: str, administrator: asyncpg.Connection
) -> None:
    waiting = {"lock_timeout_seconds": 60, "statement_timeout_seconds": 60, "pool_wait_seconds": 60}
    matcher = await start_matcher(database_url, pool_max_size=1, **waiting)
    await matcher.stub.Enroll(enroll("ann", PROBE))
    idle = await status(matcher)
    assert {(each.in_use, each.waiting) for each in idle.queues} == {(0, 0)}
    async with administrator.transaction():
        await administrator.execute("LOCK TABLE facerec.face")
        claim = pb.UpdatePersonRequest(person_id="ann", display_name="Ann")
        held = [asyncio.ensure_future(matcher.stub.UpdatePerson(claim)) for _ in range(3)]

        async def full() -> bool:
            return queue(await status(matcher), "call") == Queue("call", 1, 1, 2)

        await until(full)
        assert (await status(matcher)).calls_in_flight == idle.calls_in_flight + 3
    await asyncio.gather(*held)
    assert queue(await status(matcher), "call") == Queue("call", 1, 0, 0)


async def test_a_schema_of_another_release_is_reported_with_both_versions(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    head = migrations.head()
    await administrator.execute("DELETE FROM facerec.schema_migration WHERE version = $1", head)

    async def found() -> bool:
        return (await status(matcher)).database.schema_version == head - 1

    await until(found)
    database = (await status(matcher)).database
    assert (database.ready, database.release_schema_version) == (False, head)
    assert "matcher_service migrate" in database.problem
