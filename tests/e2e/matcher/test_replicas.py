"""Several matchers over one database see each change at once, and none is left incomplete."""

import asyncio
import uuid
from collections.abc import Iterator

import asyncpg
import grpc
import grpc.aio
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.matcher import MatcherProcess, RunningMatcher

ROUNDS = 500  # each of an enrollment and an erasure: 1,000 changes


@pytest.fixture
def replicas(database_url: str) -> Iterator[list[str]]:
    """The addresses of two matcher processes over one database."""
    servers = [MatcherProcess(database_url) for _ in range(2)]
    try:
        for server in servers:
            server.event("database_ready")
        yield [server.address for server in servers]
    finally:
        codes = [server.stop() for server in servers]
    assert codes == [0, 0]


async def test_a_change_on_one_replica_is_seen_at_once_on_the_other(replicas: list[str]) -> None:
    probes = [encoding(vector) for vector in vectors(8)]
    async with (
        grpc.aio.insecure_channel(replicas[0]) as one,
        grpc.aio.insecure_channel(replicas[1]) as other,
    ):
        stubs = [matcher_pb2_grpc.MatcherServiceStub(channel) for channel in (one, other)]
        for number in range(ROUNDS):
            change, ask = stubs[number % 2], stubs[(number + 1) % 2]
            person, probe = f"p{number}", probes[number % len(probes)]
            await change.Enroll(enroll(person, probe))
            if number % 2:
                assert (await ask.Verify(pb.VerifyRequest(person_id=person, probe=probe))).match
            else:
                found = await ask.Identify(pb.IdentifyRequest(probes=[probe], max_distance=0))
                assert [candidate.person_id for candidate in found.faces[0].candidates] == [person]
            await change.DeletePerson(pb.DeletePersonRequest(person_id=person))
            if number % 2:
                found = await ask.Identify(pb.IdentifyRequest(probes=[probe], max_distance=0))
                assert not found.faces[0].candidates
            else:
                with refused(Reason.PERSON_NOT_FOUND, "person_id"):
                    await ask.Verify(pb.VerifyRequest(person_id=person, probe=probe))


async def test_concurrent_enrollments_and_erasures_leave_no_face_without_a_person(
    matcher: RunningMatcher, database_url: str
) -> None:
    faces = [encoding(vector) for vector in vectors(40)]
    face_ids: list[str] = []

    async def enrolling(start: int) -> None:
        for number in range(start, 40, 4):
            answer = await matcher.stub.Enroll(enroll("ann", faces[number], faces[(number + 1) % 40]))
            face_ids.extend(face.face.face_id for face in answer.faces)

    async def erasing() -> None:
        for _ in range(20):
            await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))

    async def erasing_faces() -> None:
        for _ in range(20):
            face_id = face_ids.pop() if face_ids else str(uuid.uuid4())
            await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=face_id))

    for _ in range(4):
        await asyncio.gather(*map(enrolling, range(4)), erasing(), erasing_faces())
        connection = await asyncpg.connect(database_url)
        try:
            orphans = await connection.fetchval(
                "SELECT count(*) FROM facerec.face f"
                " WHERE NOT EXISTS (SELECT FROM facerec.person p WHERE p.person_key = f.person_key)"
            )
            doubles = await connection.fetchval(
                "SELECT count(*) - count(DISTINCT (person_key, content_id)) FROM facerec.face"
            )
        finally:
            await connection.close()
        assert (orphans, doubles) == (0, 0)
