"""Enrolling a face nearer to somebody else's than to its person's own: allowed, flagged or refused."""

import asyncio
from typing import Any

import grpc.aio
import numpy as np
import pytest

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import review_pb2
from tests.e2e.matcher.blocking import STOPPED, held, person_locked, waiting
from tests.e2e.matcher.catalog import change_settings
from tests.e2e.matcher.requests import Vector, encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.matcher import RunningMatcher

ALLOW, FLAG, REFUSE = (
    pb.CONSISTENCY_POLICY_ALLOW,
    pb.CONSISTENCY_POLICY_FLAG,
    pb.CONSISTENCY_POLICY_REFUSE,
)
THRESHOLD = 0.5


def at(distance: float, axis: int = 0) -> Vector:
    """A vector at this very distance from the origin, along an axis."""
    vector = np.zeros(128, np.float32)
    vector[axis] = distance
    return vector


def own_and_other(
    stored: list[tuple[str, Vector]], person: str, vector: Vector
) -> tuple[float | None, float, str]:
    """The distance of the nearest of the person's faces, and of the nearest of anybody else's, and whose."""
    measured = [(float(np.linalg.norm(vector.astype(float) - face)), name) for name, face in stored]
    own = min((distance for distance, name in measured if name == person), default=None)
    return (own, *min((each for each in measured if each[1] != person), default=(9.0, "")))


async def add(matcher: RunningMatcher, person: str, *faces: Vector, **fields: Any) -> list[pb.EnrolledFace]:
    answer = await matcher.stub.Enroll(enroll(person, *map(encoding, faces), **fields))
    return list(answer.faces)


async def test_flags_agree_with_numpy_and_name_both_faces(matcher: RunningMatcher) -> None:
    centres = 0.5 * vectors(5)
    random = np.random.default_rng(3)
    stored: list[tuple[str, Vector]] = []
    names: dict[str, tuple[str, Vector]] = {}
    flags = unflagged = 0
    for number in range(90):
        looks_like, person = number % 5, f"p{number % 5 if number % 3 else (number // 3) % 5}"
        scale = random.choice([0.15, 0.3, 0.45])
        vector = (centres[looks_like] + scale * vectors(1, seed=number)[0]).astype(np.float32)
        (answer,) = await add(matcher, person, vector)
        own, distance, other = own_and_other(stored, person, vector)
        expected = own is not None and distance <= THRESHOLD and distance < own
        assert answer.HasField("inconsistency") is expected
        assert answer.HasField("duplicate") is (distance <= THRESHOLD)
        unflagged += distance <= THRESHOLD and not expected
        if own is not None and expected:
            found = answer.inconsistency
            flags += 1
            assert found.person_id == other == answer.duplicate.person_id
            assert np.isclose(found.distance, distance, rtol=1e-6)
            assert np.isclose(found.own_distance, own, rtol=1e-6)
            for face_id, owner, length in (
                (found.face_id, other, distance),
                (found.own_face_id, person, own),
            ):
                name, face = names[face_id]
                assert name == owner
                assert np.isclose(np.linalg.norm(vector.astype(float) - face), length, rtol=1e-6)
        stored.append((person, vector))
        names[answer.face.face_id] = (person, vector)
    assert flags > 10
    assert unflagged > 10


async def test_faces_of_one_call_are_not_compared_with_each_other(matcher: RunningMatcher) -> None:
    await add(matcher, "bob", at(0))
    (first, second) = await add(matcher, "ann", at(0.2), at(0.25))
    assert not first.HasField("inconsistency"), "a new person has no face that it could contradict"
    assert not second.HasField("inconsistency")
    assert first.duplicate.person_id == "bob"
    await add(matcher, "eve", at(2))
    wrong = await add(matcher, "eve", at(0.05), at(0.06))
    assert [face.inconsistency.person_id for face in wrong] == ["bob", "bob"], "each against what was stored"


async def test_as_near_to_both_is_consistent_and_the_distance_is_bounded(matcher: RunningMatcher) -> None:
    await add(matcher, "bob", at(0))
    await add(matcher, "ann", at(0.5))
    (middle,) = await add(matcher, "ann", at(0.25))
    assert middle.duplicate.distance == 0.25
    assert not middle.HasField("inconsistency")
    await add(matcher, "eve", at(2))
    (far,) = await add(matcher, "eve", at(-0.75))
    assert not far.HasField("inconsistency"), "bob is nearer, but not near"


@pytest.mark.parametrize("policy", [ALLOW, FLAG])
async def test_what_the_policies_do_not_look_for_is_not_flagged(matcher: RunningMatcher, policy: Any) -> None:
    await add(matcher, "bob", at(0))
    await add(matcher, "ann", at(2))
    duplicates = pb.DUPLICATE_POLICY_FLAG if policy == ALLOW else pb.DUPLICATE_POLICY_ALLOW
    await change_settings(matcher, consistency_policy=policy, duplicate_policy=duplicates)
    (face,) = await add(matcher, "ann", at(0.1))
    assert not face.HasField("inconsistency")
    assert face.duplicate.person_id == ("bob" if policy == ALLOW else "")
    assert bool(face.duplicate_check) is (policy == ALLOW)


@pytest.mark.parametrize("duplicates", [pb.DUPLICATE_POLICY_FLAG, pb.DUPLICATE_POLICY_ALLOW])
async def test_the_policy_refuse_names_the_other_person_and_stores_nothing(
    matcher: RunningMatcher, duplicates: Any
) -> None:
    await change_settings(matcher, consistency_policy=REFUSE, duplicate_policy=duplicates)
    await add(matcher, "bob", at(0))
    await add(matcher, "ann", at(0.4))
    (like_both,) = await add(matcher, "ann", at(0.3))
    assert like_both.duplicate.person_id == ("bob" if duplicates == pb.DUPLICATE_POLICY_FLAG else "")
    assert like_both.duplicate_check == pb.SEARCH_MODE_EXACT
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await add(matcher, "ann", at(1.5), at(0.1), request_id="r")
    error = from_rpc_error(caught.value, "the matcher")
    assert (error.reason, error.field) == (Reason.FACE_INCONSISTENT, "items[1].probe")
    assert error.metadata == {"person_id": "bob"}
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    person = await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))
    assert person.person.face_count == 2
    await change_settings(matcher, consistency_policy=FLAG, duplicate_policy=pb.DUPLICATE_POLICY_FLAG)
    flagged = await add(matcher, "ann", at(1.5), at(0.1), request_id="r")
    assert [face.inconsistency.person_id for face in flagged] == ["", "bob"]
    assert await add(matcher, "ann", at(1.5), at(0.1), request_id="r") == flagged, "a replay answers the same"


async def test_a_face_of_somebody_enrolled_since_the_search_is_found(
    pair: tuple[RunningMatcher, RunningMatcher], database_url: str
) -> None:
    await change_settings(pair[0], consistency_policy=REFUSE)
    await add(pair[0], "ann", at(0.4))
    async with held(database_url, person_locked("ann")):
        late = asyncio.ensure_future(add(pair[0], "ann", at(0.1)))
        await waiting(database_url)
        await add(pair[1], "bob", at(0))
    with refused(Reason.FACE_INCONSISTENT, "items[0].probe"):
        await late


async def test_a_face_of_the_persons_own_deleted_since_the_search_counts_no_more(
    matcher: RunningMatcher, database_url: str
) -> None:
    await add(matcher, "bob", at(0))
    await add(matcher, "ann", at(0.4))
    (own,) = await add(matcher, "ann", at(0.15, axis=1))
    await change_settings(matcher, consistency_policy=REFUSE)
    async with held(database_url, STOPPED):
        late = asyncio.ensure_future(add(matcher, "ann", at(0.1, axis=1)))
        await waiting(database_url)
        await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=own.face.face_id))
    with refused(Reason.FACE_INCONSISTENT, "items[0].probe"):
        await late


async def test_a_running_enrollment_follows_a_changed_policy(
    matcher: RunningMatcher, database_url: str
) -> None:
    await add(matcher, "bob", at(0))
    await add(matcher, "ann", at(2))
    async with held(database_url, STOPPED) as connection:
        late = asyncio.ensure_future(add(matcher, "ann", at(0.1)))
        await waiting(database_url)
        await connection.execute("UPDATE facerec.collection SET consistency_policy = 'refuse'")
        await connection.execute("INSERT INTO facerec.recent_enrollment (collection_id) VALUES ('default')")
    with refused(Reason.FACE_INCONSISTENT, "items[0].probe"):
        await late


async def test_an_import_past_the_policy_says_so_and_is_found_afterwards(matcher: RunningMatcher) -> None:
    await add(matcher, "bob", at(0))
    await add(matcher, "ann", at(2))
    await change_settings(matcher, consistency_policy=REFUSE)
    rows = chunk(at(0.1)[None], ["ann"])
    with refused(Reason.OPTION_INVALID, "header.ignore_duplicate_policy", "ListInconsistentFaces"):
        await send(matcher, header(), rows)
    await send(matcher, header(ignore_duplicate_policy=True), rows)
    listed = await matcher.collections.ListInconsistentFaces(review_pb2.ListInconsistentFacesRequest())
    assert [(face.person_id, face.other_person_id) for face in listed.faces] == [("ann", "bob")]
