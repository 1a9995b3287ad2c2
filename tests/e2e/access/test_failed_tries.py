"""A caller without scores has a limited number of failed tries against one person, on all replicas."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.serving.auth.permissions import Credential, Role
from matcher_service.maintenance import runner
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.access.failed_tries import FAR, MAY, NEAR, refusal, tries, verify, waiting
from tests.e2e.matcher.requests import Vector, encoding, enroll, refused
from tests.fixtures.matcher import RunningMatcher, StartMatcher

WriteKeys = Callable[..., Path]
HOUR = 3600.0


@pytest.fixture
def keys(keys_file: WriteKeys) -> Path:
    return keys_file(
        entry("admin", "a", ["admin"]),
        entry("door", "d", ["verify"], MAY),
        entry("gate", "g", ["verify"], MAY),
        entry("camera", "c", ["verify"]),
        entry("desk", "s", ["verify"], MAY + "scores = true"),
        entry("held", "h", ["verify"], MAY + "scores = true\nfailed_tries_per_day = 2"),
        entry("slow", "l", ["verify"], MAY + "failed_tries_per_day = 0.5"),
        entry("wide", "w", ["verify"], MAY + "failed_tries_per_day = 100"),
        entry("onboarding", "o", ["enroll"], MAY),
    )


@pytest.fixture
async def matcher(start_matcher: StartMatcher, database_url: str, keys: Path) -> RunningMatcher:
    running = await start_matcher(database_url, keys_file=keys)
    for person_id in ("ann", "ben"):
        await running.stub.Enroll(enroll(person_id, encoding(NEAR)), metadata=bearer("a"))
    return running


async def test_after_five_failed_tries_nothing_is_decided_at_any_distance(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    denied = {"reason": "RATE_LIMITED"}
    before = REGISTRY.get_sample_value("facerec_denied_total", denied) or 0
    assert [await verify(matcher, "d") for _ in range(5)] == [False] * 5
    for vector in (FAR, NEAR):
        error = await refusal(matcher, "d", vector)
        assert error.reason is Reason.RATE_LIMITED
        assert error.retry_after_seconds == pytest.approx(24 / 5 * HOUR, abs=60)
        assert "ann" not in error.message
    assert REGISTRY.get_sample_value("facerec_denied_total", denied) == before + 2
    assert await verify(matcher, "d", NEAR, "ben"), "another person has a count of their own"
    assert await verify(matcher, "g", NEAR), "and so has another caller"
    assert await tries(administrator) == [("door", 24.0), ("door", 0.2), ("gate", 0.2)]


async def test_claims_of_a_suspended_person_count_nothing_and_suspending_gives_nothing_back(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    async def suspend(suspended: bool) -> None:
        change = pb.UpdatePersonRequest(person_id="ann", suspended=suspended)
        await matcher.stub.UpdatePerson(change, metadata=bearer("a"))

    await suspend(True)
    for vector in (NEAR, FAR) * 4:
        assert (await refusal(matcher, "d", vector)).reason is Reason.PERSON_SUSPENDED
    assert await tries(administrator) == []
    await suspend(False)
    assert [await verify(matcher, "d") for _ in range(5)] == [False] * 5
    await suspend(True)
    assert (await refusal(matcher, "d", NEAR)).reason is Reason.PERSON_SUSPENDED
    await suspend(False)
    assert (await refusal(matcher, "d", NEAR)).reason is Reason.RATE_LIMITED
    assert await tries(administrator) == [("door", 24.0)]


async def test_a_match_of_a_vector_counts_a_twentieth_and_regains_nothing(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    for _ in range(3):
        assert not await verify(matcher, "d")
    for _ in range(20):
        assert await verify(matcher, "d", NEAR)
    assert await tries(administrator) == [("door", 19.2)]
    assert not await verify(matcher, "d")
    assert (await refusal(matcher, "d", NEAR)).reason is Reason.RATE_LIMITED


async def test_a_claim_of_several_photos_counts_as_so_many_tries(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    for vector, photos, hours in ((FAR, 3, 14.4), (NEAR, 10, 16.8), (FAR, 2, 26.4)):
        request = pb.VerifyRequest(person_id="ann", probes=[encoding(vector)] * photos)
        answer = await matcher.stub.Verify(request, metadata=bearer("d"))
        assert (answer.match, answer.photos) == (vector is NEAR, photos)
        assert not answer.HasField("distance")
        assert await tries(administrator) == [("door", hours)]
    assert (await refusal(matcher, "d", NEAR)).reason is Reason.RATE_LIMITED


async def test_tries_are_regained_evenly_over_a_day(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    for _ in range(5):
        await verify(matcher, "d")
    await refusal(matcher, "d")
    await administrator.execute("UPDATE facerec.failed_try SET full_time = full_time - interval '4.81 hours'")
    assert not await verify(matcher, "d")
    assert (await refusal(matcher, "d")).reason is Reason.RATE_LIMITED
    await administrator.execute("UPDATE facerec.failed_try SET full_time = now() - interval '30 days'")
    assert [await verify(matcher, "d") for _ in range(5)] == [False] * 5, "no more than five are ever there"
    assert (await refusal(matcher, "d")).reason is Reason.RATE_LIMITED


async def test_a_count_is_shared_by_all_replicas_also_for_concurrent_tries(
    start_matcher: StartMatcher, matcher: RunningMatcher, database_url: str, keys: Path
) -> None:
    others = [await start_matcher(database_url, keys_file=keys) for _ in range(2)]
    asked = [verify(each, "d") for each in (matcher, *others) for _ in range(12)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, BaseException)] == [False] * 5


async def test_a_try_waits_for_the_one_before_and_is_refused_if_that_was_the_last(
    start_matcher: StartMatcher,
    matcher: RunningMatcher,
    database_url: str,
    keys: Path,
    administrator: asyncpg.Connection,
) -> None:
    """Decided concurrently, a match could be distinguished from a failure that is no longer counted."""
    other = await start_matcher(database_url, keys_file=keys)
    for _ in range(4):
        await verify(matcher, "d")
    async with administrator.transaction():
        await administrator.execute("LOCK TABLE facerec.failed_try IN EXCLUSIVE MODE")
        last = asyncio.ensure_future(verify(matcher, "d"))
        await waiting(administrator, 1)
        next_ones = [asyncio.ensure_future(refusal(each, "d", NEAR)) for each in (other, matcher)]
        await waiting(administrator, 2)
    assert not await last
    assert [(await each).reason for each in next_ones] == [Reason.RATE_LIMITED] * 2


@pytest.mark.parametrize(("vector", "hours"), [(NEAR, 0.2), (FAR, 4.8)])
async def test_a_caller_that_hangs_up_before_the_answer_has_still_used_a_try(
    matcher: RunningMatcher, administrator: asyncpg.Connection, vector: Vector, hours: float
) -> None:
    """What is counted less may be answered sooner: a deadline in between would distinguish the two."""
    async with administrator.transaction():
        await administrator.execute("LOCK TABLE facerec.failed_try IN EXCLUSIVE MODE")
        hanging_up = asyncio.ensure_future(verify(matcher, "d", vector))
        await waiting(administrator, 1)
        hanging_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging_up
    async with asyncio.timeout(60):
        while await tries(administrator) != [("door", hours)]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_failed_tries_are_counted_per_key(matcher: RunningMatcher) -> None:
    assert [await verify(matcher, "s") for _ in range(10)] == [False] * 10, "scores tell more than tries do"
    assert [await verify(matcher, "h") for _ in range(2)] == [False] * 2
    assert (await refusal(matcher, "h", NEAR)).reason is Reason.RATE_LIMITED
    assert not await verify(matcher, "l")
    assert (await refusal(matcher, "l")).retry_after_seconds == pytest.approx(48 * HOUR, abs=60)
    assert [await verify(matcher, "w") for _ in range(60)] == [False] * 60


def test_a_key_for_images_has_fifty_tries_and_one_with_scores_any_number() -> None:
    def tries(**rights: Any) -> float | None:
        return Credential(name="door", roles=frozenset({Role.VERIFY}), **rights).caller.failed_tries_per_day

    assert (tries(), tries(encodings=True), tries(scores=True)) == (50, 5, None)


async def test_a_merge_keeps_the_failed_tries_of_both(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    for _ in range(5):
        await verify(matcher, "d")
    merge = pb.MergePersonsRequest(source_person_id="ann", target_person_id="ben")
    await matcher.stub.MergePersons(merge, metadata=bearer("a"))
    assert (await refusal(matcher, "d", NEAR, "ben")).reason is Reason.RATE_LIMITED
    assert await tries(administrator) == [("door", 24.0)]


async def test_nothing_is_decided_when_failures_cannot_be_counted(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    """A match by a key that may send only images writes nothing, so it could be distinguished."""
    database = await administrator.fetchval("SELECT current_database()")
    await administrator.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    await administrator.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'facerec-matcher'"
    )
    for vector in (NEAR, FAR):
        assert (await refusal(matcher, "d", vector)).reason is Reason.STORE_UNAVAILABLE


async def test_a_call_without_a_decision_counts_as_no_try(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    for _ in range(10):
        with refused(Reason.PERSON_NOT_FOUND, "person_id"):
            await verify(matcher, "d", FAR, "nobody")
        other = pb.VerifyRequest(person_id="ann", probe=encoding(FAR, space="another"))
        with refused(Reason.MODEL_MISMATCH, "probe.encoding.space"):
            await matcher.stub.Verify(other, metadata=bearer("d"))
    assert await tries(administrator) == []


@pytest.mark.parametrize("erased", ["person", "merged", "collection", "maintained"])
async def test_a_count_is_deleted_with_the_person_and_once_all_tries_are_regained(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, erased: str
) -> None:
    await verify(matcher, "d")
    await verify(matcher, "d", FAR, "ben")
    admin = bearer("a")
    match erased:
        case "person":
            for person_id in ("ann", "ben"):
                await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id=person_id), metadata=admin)
        case "merged":
            merge = pb.MergePersonsRequest(source_person_id="ann", target_person_id="ben")
            await matcher.stub.MergePersons(merge, metadata=admin)
            assert await tries(administrator) == [("door", 4.8)]
            await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ben"), metadata=admin)
        case "collection":
            gone = pb.DeleteCollectionRequest(collection_id="default", force=True)
            await matcher.collections.DeleteCollection(gone, metadata=admin)
        case "maintained":
            await _leave_rows(administrator)
            assert await runner.run_once(runner.MaintenanceOptions(database_url))
            left = await administrator.fetch("SELECT person_key FROM facerec.failed_try ORDER BY 1")
            assert len(left) == 2
            assert left[0]["person_key"] == 0
            return
    assert await tries(administrator) == []


async def _leave_rows(administrator: asyncpg.Connection) -> None:
    """Of two counts one is regained; one more is of nobody who is enrolled, and one of enrollments."""
    await administrator.execute(
        "UPDATE facerec.failed_try SET full_time = now()"
        " WHERE person_key = (SELECT min(person_key) FROM facerec.failed_try)"
    )
    for key in (0, 999_999):
        await administrator.execute(
            "INSERT INTO facerec.failed_try VALUES ('default', $1, 'door', now() + interval '1 hour')", key
        )
