"""No person gets more faces than max_faces_per_person, by any call and under concurrency."""

import asyncio

import asyncpg
import grpc.aio
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import LOCKED, chunk, connections, header, send
from tests.fixtures.matcher import RunningMatcher, StartMatcher

MOST = 3


@pytest.fixture
async def strict(start_matcher: StartMatcher, database_url: str) -> RunningMatcher:
    """A matcher that lets a person have three faces."""
    return await start_matcher(database_url, max_faces_per_person=MOST)


async def count(matcher: RunningMatcher, person_id: str) -> int:
    answer = await matcher.stub.GetPerson(pb.GetPersonRequest(person_id=person_id))
    return int(answer.person.face_count)


async def test_an_enrollment_beyond_the_limit_is_refused_and_stores_nothing(strict: RunningMatcher) -> None:
    probes = list(map(encoding, vectors(5)))
    await strict.stub.Enroll(enroll("ann", *probes[:2]))
    with refused(Reason.PERSON_FULL, "person_id", message="3 faces at most"):
        await strict.stub.Enroll(enroll("ann", *probes[2:4]))
    assert await count(strict, "ann") == 2
    await strict.stub.Enroll(enroll("ann", *probes[:3]))
    again = await strict.stub.Enroll(enroll("ann", *probes[:3]))
    assert all(face.already_enrolled for face in again.faces)
    with refused(Reason.PERSON_FULL, "person_id"):
        await strict.stub.Enroll(enroll("ben", *probes[:4]))
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await count(strict, "ben")


async def test_of_concurrent_enrollments_as_many_succeed_as_the_limit_allows(strict: RunningMatcher) -> None:
    calls = [strict.stub.Enroll(enroll("ann", encoding(vector))) for vector in vectors(8)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, pb.EnrollResponse) for answer in answers) == MOST
    assert {answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)} == {
        grpc.StatusCode.FAILED_PRECONDITION
    }
    assert await count(strict, "ann") == MOST


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_import_stores_rows_up_to_the_limit_and_refuses_the_others(
    strict: RunningMatcher, database_url: str, dry_run: bool
) -> None:
    faces = vectors(12)
    await strict.stub.Enroll(enroll("ann", *map(encoding, faces[:2])))
    names = ["new"] * 5 + ["ann"] * 3 + ["ben"]
    rows = chunk(faces[[*range(3, 8), 1, 8, 9, 10]], names)
    answer = await send(strict, header(dry_run=dry_run), rows)
    assert [(row.row, row.field) for row in answer.refused] == [
        (3, "person_ids"),
        (4, "person_ids"),
        (7, "person_ids"),
    ]
    assert "3 faces at most" in answer.refused[0].message
    assert (answer.faces_added, answer.faces_already_there, answer.rows_refused) == (5, 1, 3)
    assert answer.persons_added == 2
    if dry_run:
        assert await count(strict, "ann") == 2
        return
    assert [await count(strict, name) for name in ("new", "ann", "ben")] == [MOST, MOST, 1]
    assert await centroids_off(database_url) == 0


async def centroids_off(database_url: str) -> int:
    """How many people's centroids are not the mean of their faces."""
    face, person = partition_name("face", "default"), partition_name("person", "default")
    connection = await asyncpg.connect(database_url)
    try:
        found: int = await connection.fetchval(
            f"SELECT count(*) FROM facerec.{person} p WHERE p.centroid <-> ("
            f"SELECT avg(f.encoding) FROM facerec.{face} f WHERE f.person_key = p.person_key) > 1e-6"
        )
    finally:
        await connection.close()
    return found


async def test_an_import_counts_what_was_enrolled_while_it_waited(
    strict: RunningMatcher, database_url: str
) -> None:
    faces = vectors(5)
    await strict.stub.Enroll(enroll("ann", *map(encoding, faces[:1])))
    face, person = partition_name("face", "default"), partition_name("person", "default")
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(f"SELECT FROM facerec.{person} WHERE person_id = 'ann' FOR UPDATE")
            importing = asyncio.ensure_future(send(strict, header(), chunk(faces[1:3], ["ann", "ann"])))
            while not await connections(database_url, LOCKED):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await connection.execute(
                f"INSERT INTO facerec.{face} (collection_id, person_key, encoding, model_key, content_id)"
                f" SELECT 'default', person_key, encoding, model_key, gen_random_uuid() FROM facerec.{face}"
            )
        answer = await importing
    finally:
        await connection.close()
    assert [row.row for row in answer.refused] == [1]
    assert (answer.faces_added, answer.rows_refused) == (1, 1)
    assert await count(strict, "ann") == MOST
    assert await centroids_off(database_url) == 0


async def test_a_merge_beyond_the_limit_is_refused_and_changes_nothing(strict: RunningMatcher) -> None:
    probes = list(map(encoding, vectors(4)))
    await strict.stub.Enroll(enroll("ann", *probes[:2]))
    await strict.stub.Enroll(enroll("ben", *probes[2:]))
    merge = pb.MergePersonsRequest(source_person_id="ben", target_person_id="ann")
    with refused(Reason.PERSON_FULL, "target_person_id"):
        await strict.stub.MergePersons(merge)
    assert [await count(strict, name) for name in ("ann", "ben")] == [2, 2]
    await strict.stub.Enroll(enroll("cay", *probes[1:3]))
    merged = await strict.stub.MergePersons(
        pb.MergePersonsRequest(source_person_id="cay", target_person_id="ann")
    )
    assert merged.person.face_count == MOST  # one face was both's


async def test_a_person_above_the_limit_stays_readable_and_erasable(
    matcher: RunningMatcher, strict: RunningMatcher
) -> None:
    probes = list(map(encoding, vectors(6)))
    await matcher.stub.Enroll(enroll("ann", *probes[:5]))
    assert (await strict.stub.Verify(pb.VerifyRequest(person_id="ann", probe=probes[4]))).match
    listed = await strict.stub.ListFaces(pb.ListFacesRequest(person_id="ann"))
    assert len(listed.faces) == 5
    assert (await strict.stub.Enroll(enroll("ann", probes[0]))).faces[0].already_enrolled
    with refused(Reason.PERSON_FULL, "person_id"):
        await strict.stub.Enroll(enroll("ann", probes[5]))
    for face in listed.faces[:3]:
        await strict.stub.DeleteFace(pb.DeleteFaceRequest(face_id=face.face_id))
    await strict.stub.Enroll(enroll("ann", probes[5]))
    assert (await strict.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))).faces_deleted == MOST
