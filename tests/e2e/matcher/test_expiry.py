"""No call sees an expired face, and other faces are unaffected."""

import time

import asyncpg
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.expiry import expire
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher

BRIEF, LASTING, OTHER = vectors(3)


def expiring(person_id: str, *probes: pb.Probe, seconds: float = 3600, **fields: object) -> pb.EnrollRequest:
    """An enrollment of faces that are gone after so many seconds."""
    request = enroll(person_id, *probes, **fields)
    request.expire_time.FromNanoseconds(time.time_ns() // 1000 * 1000 + int(seconds * 1e9))
    return request


async def test_until_its_expire_time_a_face_is_like_any_other_and_shows_the_time(
    matcher: RunningMatcher,
) -> None:
    request = expiring("ann", encoding(BRIEF), seconds=60)
    answer = await matcher.stub.Enroll(request)
    assert answer.faces[0].face.expire_time == request.expire_time
    await matcher.stub.Enroll(enroll("ann", encoding(LASTING)))
    listed = (await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="ann"))).faces
    assert [face.HasField("expire_time") for face in listed] == [True, False]
    assert listed[0] == answer.faces[0].face
    claim = await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(BRIEF)))
    assert (claim.match, claim.faces_compared) == (True, 2)


async def test_no_call_sees_an_expired_face(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    answer = await matcher.stub.Enroll(expiring("ann", encoding(BRIEF)))
    await matcher.stub.Enroll(enroll("ann", encoding(LASTING)))
    gone = pb.Probe(face_id=answer.faces[0].face.face_id)
    pair = pb.CompareRequest(probe_a=gone, probe_b=encoding(BRIEF))
    assert (await matcher.stub.Compare(pair)).match
    await expire(administrator)

    claim = await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(BRIEF)))
    assert (claim.match, claim.faces_compared) == (False, 1)
    found = await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(BRIEF)], max_distance=0.1))
    assert not found.faces[0].candidates
    with refused(Reason.FACE_NOT_FOUND, "probe_a.face_id"):
        await matcher.stub.Compare(pair)
    with refused(Reason.FACE_NOT_FOUND, "probe.face_id"):
        await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=gone))
    with refused(Reason.FACE_NOT_FOUND, "probes[0].face_id"):
        await matcher.stub.Identify(pb.IdentifyRequest(probes=[gone]))
    with refused(Reason.FACE_NOT_FOUND, "items[0].probe.face_id"):
        await matcher.stub.Enroll(enroll("ben", gone))
    assert (await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))).person.face_count == 1
    assert (await matcher.stub.ListPersons(pb.ListPersonsRequest())).persons[0].face_count == 1
    renamed = await matcher.stub.UpdatePerson(pb.UpdatePersonRequest(person_id="ann", display_name="Ann"))
    assert renamed.person.face_count == 1
    listed = (await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="ann"))).faces
    assert [face.face_id for face in listed] != [gone.face_id]
    assert len(listed) == 1
    other = await matcher.stub.Enroll(enroll("ben", encoding(BRIEF)))
    assert not other.faces[0].HasField("duplicate"), "an expired face is nobody's"


async def test_a_person_whose_faces_are_all_expired_does_not_match(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await matcher.stub.Enroll(expiring("ann", encoding(BRIEF)))
    await expire(administrator)
    with refused(Reason.FACE_NOT_FOUND, "person_id"):
        await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(BRIEF)))
    assert not (await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="ann"))).faces


async def test_an_expired_face_can_be_enrolled_again(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    first = await matcher.stub.Enroll(expiring("ann", encoding(BRIEF)))
    within = await matcher.stub.Enroll(enroll("ann", encoding(BRIEF)))
    assert within.faces[0].already_enrolled
    assert within.faces[0].face.expire_time == first.faces[0].face.expire_time, "it keeps its time"
    await expire(administrator)
    again = await matcher.stub.Enroll(enroll("ann", encoding(BRIEF)))
    assert not again.faces[0].already_enrolled
    assert not again.faces[0].face.HasField("expire_time")
    assert again.faces[0].face.face_id != first.faces[0].face.face_id
    assert (again.person.face_count, again.person_created) == (1, False)
    assert (await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(BRIEF)))).match


async def test_a_replay_has_the_expire_time_even_of_a_deleted_face(matcher: RunningMatcher) -> None:
    request = expiring("ann", encoding(BRIEF), seconds=60, request_id="r1")
    first = await matcher.stub.Enroll(request)
    assert await matcher.stub.Enroll(request) == first
    await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=first.faces[0].face.face_id))
    assert (await matcher.stub.Enroll(request)).faces[0].face == first.faces[0].face
    other = expiring("ann", encoding(BRIEF), seconds=61, request_id="r1")
    with refused(Reason.REQUEST_ID_REUSED, "request_id"):
        await matcher.stub.Enroll(other)


async def test_erasing_a_face_early_keeps_the_others(matcher: RunningMatcher) -> None:
    answer = await matcher.stub.Enroll(expiring("ann", encoding(BRIEF), encoding(OTHER), seconds=60))
    receipt = await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=answer.faces[0].face.face_id))
    assert receipt.faces_deleted == 1
    (left,) = (await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="ann"))).faces
    assert left == answer.faces[1].face


@pytest.mark.parametrize("seconds", [-3600, 0, 253_402_300_799 - 1_000])
async def test_an_expire_time_that_is_past_or_out_of_range_is_refused(
    matcher: RunningMatcher, seconds: int
) -> None:
    request = enroll("ann", encoding(BRIEF))
    request.expire_time.seconds = seconds if seconds > 1e10 else int(time.time()) + seconds
    with refused(Reason.OPTION_INVALID, "expire_time"):
        await matcher.stub.Enroll(request)
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))
