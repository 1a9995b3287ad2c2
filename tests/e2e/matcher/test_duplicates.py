"""Enrolling a face that belongs to another person: allowed, flagged or refused."""

from typing import Any

import grpc.aio
import numpy as np
import pytest

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.catalog import change_settings
from tests.e2e.matcher.requests import Vector, encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher

ALLOW, FLAG, REFUSE = pb.DUPLICATE_POLICY_ALLOW, pb.DUPLICATE_POLICY_FLAG, pb.DUPLICATE_POLICY_REFUSE


def at(distance: float) -> Vector:
    """A vector at this very distance from the origin, where it is a float32."""
    vector = np.zeros(128, np.float32)
    vector[0] = distance
    return vector


async def people(matcher: RunningMatcher) -> list[tuple[str, int]]:
    listed = await matcher.stub.ListPersons(pb.ListPersonsRequest())
    return [(person.person_id, person.face_count) for person in listed.persons]


async def test_a_new_collection_flags_the_nearest_other_person(matcher: RunningMatcher) -> None:
    await matcher.stub.Enroll(enroll("far", encoding(at(0.5))))
    near = await matcher.stub.Enroll(enroll("near", encoding(at(-0.25))))
    flagged = await matcher.stub.Enroll(enroll("ann", encoding(at(0))))
    (face,) = flagged.faces
    assert (face.duplicate.person_id, face.duplicate.distance) == ("near", 0.25)
    assert face.duplicate.face_id == near.faces[0].face.face_id
    assert face.duplicate_check == pb.SEARCH_MODE_EXACT
    assert not face.already_enrolled
    assert flagged.person.face_count == 1, "it is flagged and enrolled"


async def test_the_flag_agrees_with_numpy(matcher: RunningMatcher) -> None:
    await change_settings(matcher, duplicate_threshold=0.6)
    centres = 0.5 * vectors(6)
    drawn = centres.repeat(8, axis=0) + 0.3 * vectors(48, seed=3)
    stored: list[tuple[int, Vector]] = []
    flags = 0
    for number, vector in enumerate(drawn.astype(np.float32)):
        person = number % 5
        answer = (await matcher.stub.Enroll(enroll(f"p{person}", encoding(vector)))).faces[0]
        others = [
            (float(np.linalg.norm(vector.astype(float) - held)), f"p{owner}")
            for owner, held in stored
            if owner != person
        ]
        distance, nearest = min(others, default=(9.0, ""))
        assert abs(distance - 0.6) > 1e-6
        assert answer.duplicate.person_id == (nearest if distance <= 0.6 else "")
        if distance <= 0.6:
            flags += 1
            assert np.isclose(answer.duplicate.distance, distance, rtol=1e-6)
        stored.append((person, vector))
    assert 10 < flags < 48, "the draw has both"


@pytest.mark.parametrize("policy", [FLAG, REFUSE])
async def test_a_persons_own_faces_are_no_duplicates(matcher: RunningMatcher, policy: Any) -> None:
    await change_settings(matcher, duplicate_policy=policy, duplicate_threshold=4)
    await matcher.stub.Enroll(enroll("ann", *(encoding(at(i / 64)) for i in range(8))))
    answer = await matcher.stub.Enroll(enroll("ann", encoding(at(0.9)), encoding(at(0.9))))
    assert not any(face.HasField("duplicate") for face in answer.faces)
    assert answer.person.face_count == 9


@pytest.mark.parametrize("policy", [FLAG, REFUSE])
async def test_the_threshold_is_inclusive(matcher: RunningMatcher, policy: Any) -> None:
    await matcher.stub.Enroll(enroll("ben", encoding(at(0))))
    await change_settings(matcher, duplicate_policy=policy, duplicate_threshold=float(np.nextafter(0.75, 0)))
    below = await matcher.stub.Enroll(enroll("ann", encoding(at(0.75))))
    assert not below.faces[0].HasField("duplicate")
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
    await change_settings(matcher, duplicate_threshold=0.75)
    if policy == FLAG:
        reached = await matcher.stub.Enroll(enroll("ann", encoding(at(0.75))))
        assert (reached.faces[0].duplicate.person_id, reached.faces[0].duplicate.distance) == ("ben", 0.75)
    else:
        with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
            await matcher.stub.Enroll(enroll("ann", encoding(at(0.75))))


async def test_the_policy_allow_does_not_search_for_duplicates(matcher: RunningMatcher) -> None:
    await change_settings(matcher, duplicate_policy=ALLOW)
    await matcher.stub.Enroll(enroll("ben", encoding(at(0))))
    (face,) = (await matcher.stub.Enroll(enroll("ann", encoding(at(0))))).faces
    assert not face.HasField("duplicate")
    assert face.duplicate_check == pb.SEARCH_MODE_UNSPECIFIED


async def test_the_policy_refuse_names_the_other_person_and_stores_nothing(matcher: RunningMatcher) -> None:
    await change_settings(matcher, duplicate_policy=REFUSE)
    stored = await matcher.stub.Enroll(enroll("ben", encoding(at(0))))
    fine, bad = encoding(vectors(1)[0]), encoding(at(0.1))
    by_id = pb.Probe(face_id=stored.faces[0].face.face_id)
    for attempt, item in enumerate((bad, bad, by_id)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            request_id = "r" if attempt < 2 else "s"
            await matcher.stub.Enroll(enroll("ann", fine, item, request_id=request_id))
        error = from_rpc_error(caught.value, "the matcher")
        assert (error.reason, error.field) == (Reason.FACE_DUPLICATE, "items[1].probe")
        assert error.metadata == {"person_id": "ben"}
        assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
        assert await people(matcher) == [("ben", 1)]
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))
    await change_settings(matcher, duplicate_policy=FLAG)
    assert (await matcher.stub.Enroll(enroll("ann", fine, bad, request_id="r"))).person_created
    assert await people(matcher) == [("ann", 2), ("ben", 1)]


async def test_a_face_that_the_person_already_has_is_not_refused(matcher: RunningMatcher) -> None:
    await matcher.stub.Enroll(enroll("ben", encoding(at(0))))
    await matcher.stub.Enroll(enroll("ann", encoding(at(0))))
    await change_settings(matcher, duplicate_policy=REFUSE)
    again = await matcher.stub.Enroll(enroll("ann", encoding(at(0))))
    assert again.faces[0].already_enrolled
    assert not again.faces[0].HasField("duplicate")


@pytest.mark.parametrize("policy", [FLAG, REFUSE])
async def test_a_replay_answers_the_same(matcher: RunningMatcher, policy: Any) -> None:
    await matcher.stub.Enroll(enroll("ben", encoding(at(0))))
    request = enroll("ann", encoding(at(0.25)), encoding(at(0.25)), encoding(at(3)), request_id="r1")
    first = await matcher.stub.Enroll(request)
    assert [face.duplicate.person_id for face in first.faces] == ["ben", "", ""]
    await change_settings(matcher, duplicate_policy=policy)
    assert await matcher.stub.Enroll(request) == first


async def test_a_person_erased_or_merged_is_no_duplicate(matcher: RunningMatcher) -> None:
    await matcher.stub.Enroll(enroll("ben", encoding(at(0))))
    await matcher.stub.Enroll(enroll("cat", encoding(at(0.125))))
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ben"))
    answer = await matcher.stub.Enroll(enroll("ann", encoding(at(0))))
    assert answer.faces[0].duplicate.person_id == "cat"
    await matcher.stub.MergePersons(pb.MergePersonsRequest(source_person_id="cat", target_person_id="ann"))
    alone = await matcher.stub.Enroll(enroll("ann", encoding(at(0.0625))))
    assert not alone.faces[0].HasField("duplicate")
