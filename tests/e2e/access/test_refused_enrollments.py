"""Enrollments that are refused by distance are failed tries too, on all replicas."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import numpy as np
import pytest
from prometheus_client import REGISTRY

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.access.failed_tries import MAY, NEAR, tries, waiting
from tests.e2e.matcher.requests import Vector, encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher


@pytest.fixture
def keys(keys_file: Callable[..., Path]) -> Path:
    return keys_file(entry("admin", "a", ["admin"]), entry("onboarding", "o", ["enroll"], MAY))


@pytest.fixture
async def matcher(start_matcher: StartMatcher, database_url: str, keys: Path) -> RunningMatcher:
    running = await start_matcher(database_url, keys_file=keys)
    for person_id in ("ann", "ben"):
        await running.stub.Enroll(enroll(person_id, encoding(NEAR)), metadata=bearer("a"))
    return running


async def refuse_duplicates(matcher: RunningMatcher) -> None:
    await change(matcher, duplicate_policy=pb.DUPLICATE_POLICY_REFUSE)


async def change(matcher: RunningMatcher, **fields: Any) -> None:
    settings = pb.CollectionSettings(**fields)
    await matcher.collections.UpdateCollection(
        pb.UpdateCollectionRequest(settings=settings), metadata=bearer("a")
    )


async def test_refused_duplicates_are_counted_too_and_new_faces_as_a_twentieth(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await refuse_duplicates(matcher)
    new = iter(vectors(100, seed=77))
    for _ in range(20):
        await matcher.stub.Enroll(enroll("eve", encoding(next(new))), metadata=bearer("o"))
    assert await tries(administrator) == [("onboarding", 4.8)]
    near = _beside(NEAR)
    for _ in range(4):
        with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
            await matcher.stub.Enroll(enroll("eve", encoding(next(near))), metadata=bearer("o"))
    for vector in (next(near), next(new)):
        with refused(Reason.RATE_LIMITED):
            await matcher.stub.Enroll(enroll("eve", encoding(vector)), metadata=bearer("o"))
    assert await tries(administrator) == [("onboarding", 24.0)]
    await matcher.stub.Enroll(enroll("eve", encoding(next(new))), metadata=bearer("a"))


async def test_refused_inconsistent_faces_are_counted_too_and_none_is_flagged(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    far, near = iter(vectors(100, seed=77)), _beside(NEAR)
    await matcher.stub.Enroll(enroll("eve", encoding(next(far))), metadata=bearer("a"))
    flagged = await matcher.stub.Enroll(enroll("eve", encoding(next(near))), metadata=bearer("a"))
    assert flagged.faces[0].inconsistency.person_id
    face_id = flagged.faces[0].face.face_id
    await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=face_id), metadata=bearer("a"))
    unsaid = await matcher.stub.Enroll(enroll("eve", encoding(next(near))), metadata=bearer("o"))
    assert not unsaid.faces[0].HasField("inconsistency")
    face_id = unsaid.faces[0].face.face_id
    await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=face_id), metadata=bearer("a"))
    await change(matcher, consistency_policy=pb.CONSISTENCY_POLICY_REFUSE)
    for _ in range(5):
        with refused(Reason.FACE_INCONSISTENT, "items[0].probe"):
            await matcher.stub.Enroll(enroll("eve", encoding(next(near))), metadata=bearer("o"))
    for vector in (next(near), next(far)):
        with refused(Reason.RATE_LIMITED):
            await matcher.stub.Enroll(enroll("eve", encoding(vector)), metadata=bearer("o"))
    assert await tries(administrator) == [("onboarding", 24.0)]


async def test_concurrent_enrollments_of_many_people_all_succeed_if_enough_tries_are_left(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await refuse_duplicates(matcher)
    await asyncio.gather(
        *(
            matcher.stub.Enroll(enroll(f"new-{number}", encoding(vector)), metadata=bearer("o"))
            for number, vector in enumerate(vectors(40, seed=78))
        )
    )
    assert await tries(administrator) == [("onboarding", 9.6)]  # two of five a day


async def test_concurrent_enrollments_get_no_more_refusals_than_a_key_has_tries(
    start_matcher: StartMatcher, matcher: RunningMatcher, database_url: str, keys: Path
) -> None:
    await refuse_duplicates(matcher)
    other = await start_matcher(database_url, keys_file=keys)
    near = _beside(NEAR)
    answers = await asyncio.gather(
        *(
            each.stub.Enroll(enroll("eve", encoding(next(near))), metadata=bearer("o"))
            for each in (matcher, other)
            for _ in range(20)
        ),
        return_exceptions=True,
    )
    errors = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    reasons = [from_rpc_error(error, "the matcher").reason for error in errors]
    assert reasons.count(Reason.FACE_DUPLICATE) == 5
    # On a busy machine some would wait too long for the others.
    assert reasons.count(Reason.RATE_LIMITED) + reasons.count(Reason.OVERLOADED) == 35


async def test_an_enrollment_that_would_wait_too_long_for_others_of_its_key_is_no_failed_try(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await refuse_duplicates(matcher)
    limited = REGISTRY.get_sample_value("facerec_denied_total", {"reason": "RATE_LIMITED"})
    first, second = (enroll("new", encoding(vector)) for vector in vectors(2, seed=79))
    async with administrator.transaction():
        await administrator.execute("LOCK TABLE facerec.failed_try IN EXCLUSIVE MODE")
        held = asyncio.ensure_future(matcher.stub.Enroll(first, metadata=bearer("o")))
        await waiting(administrator, 1)
        with refused(Reason.OVERLOADED):
            await matcher.stub.Enroll(second, metadata=bearer("o"), timeout=2)
    await held
    assert REGISTRY.get_sample_value("facerec_denied_total", {"reason": "RATE_LIMITED"}) == limited
    assert await tries(administrator) == [("onboarding", 0.2)]


def _beside(vector: Vector) -> Iterator[Vector]:
    """Vectors near another one."""
    generator = np.random.default_rng(3)
    while True:
        yield (vector + generator.normal(0, 0.001, 128)).astype(np.float32)
