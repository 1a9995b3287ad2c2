"""Merging two persons, also with concurrent changes to either."""

import asyncio
import datetime
from typing import Any

import asyncpg
import numpy as np
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.expiry import expire
from tests.e2e.matcher.requests import encoding, enroll, refused, retried, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import LIMIT_SECONDS, until

FACE, PERSON = partition_name("face", "default"), partition_name("person", "default")


def merge(source: str, target: str, collection_id: str = "") -> pb.MergePersonsRequest:
    return pb.MergePersonsRequest(
        source_person_id=source, target_person_id=target, collection_id=collection_id
    )


async def held(matcher: RunningMatcher, person_id: str) -> list[str]:
    listed = await matcher.stub.ListFaces(pb.ListFacesRequest(person_id=person_id, page_size=1000))
    return [face.face_id for face in listed.faces]


async def test_the_faces_move_and_decide_for_the_target(matcher: RunningMatcher) -> None:
    first, second, third = vectors(3)
    await matcher.stub.Enroll(enroll("annie", encoding(first), encoding(second), display_name="Annie"))
    await matcher.stub.Enroll(enroll("ann", encoding(third), display_name="Ann"))
    moved, kept = await held(matcher, "annie"), await held(matcher, "ann")
    merged = await matcher.stub.MergePersons(merge("annie", "ann"))
    assert (merged.faces_moved, merged.person.face_count) == (2, 3)
    assert (merged.person.person_id, merged.person.display_name) == ("ann", "Ann")
    assert (await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))).person == merged.person
    assert sorted(await held(matcher, "ann")) == sorted(moved + kept)
    for vector, face_id in zip((first, second, third), moved + kept, strict=True):
        claim = await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(vector)))
        assert (claim.match, claim.nearest_face_id, claim.faces_compared) == (True, face_id, 3)
        found = await matcher.stub.Identify(pb.IdentifyRequest(probes=[pb.Probe(face_id=face_id)]))
        assert [(c.person_id, c.face_id) for c in found.faces[0].candidates] == [("ann", face_id)]
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.Verify(pb.VerifyRequest(person_id="annie", probe=encoding(first)))
    with refused(Reason.PERSON_NOT_FOUND, "source_person_id"):
        await matcher.stub.MergePersons(merge("annie", "ann"))


async def test_a_face_of_both_persons_is_kept_once(matcher: RunningMatcher) -> None:
    shared, *others = vectors(4)
    await matcher.stub.Enroll(enroll("annie", encoding(shared), *map(encoding, others)))
    await matcher.stub.Enroll(enroll("ann", encoding(shared)))
    kept = await held(matcher, "ann")
    merged = await matcher.stub.MergePersons(merge("annie", "ann"))
    assert (merged.faces_moved, merged.person.face_count) == (3, 4)
    assert kept[0] in await held(matcher, "ann")
    again = await matcher.stub.Enroll(enroll("ann", encoding(shared), *map(encoding, others)))
    assert all(face.already_enrolled for face in again.faces)


async def test_the_merged_centroid_is_numpys_mean(matcher: RunningMatcher, database_url: str) -> None:
    drawn = vectors(5)
    await matcher.stub.Enroll(enroll("annie", *map(encoding, drawn[:3])))
    await matcher.stub.Enroll(enroll("ann", *map(encoding, drawn[2:])))
    await matcher.stub.MergePersons(merge("annie", "ann"))
    connection = await asyncpg.connect(database_url)
    try:
        text = await connection.fetchval(f"SELECT centroid::text FROM facerec.{PERSON}")
    finally:
        await connection.close()
    np.testing.assert_allclose(np.fromstring(text.strip("[]"), sep=","), drawn.mean(axis=0), atol=1e-6)


async def test_an_unknown_person_is_named_by_the_field(matcher: RunningMatcher) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    with refused(Reason.PERSON_NOT_FOUND, "source_person_id"):
        await matcher.stub.MergePersons(merge("nobody", "ann"))
    with refused(Reason.PERSON_NOT_FOUND, "target_person_id"):
        await matcher.stub.MergePersons(merge("ann", "nobody"))
    with refused(Reason.OPTION_INVALID, "target_person_id"):
        await matcher.stub.MergePersons(merge("ann", "ann"))
    with refused(Reason.OPTION_INVALID, "target_person_id"):
        await matcher.stub.MergePersons(merge("\u00e9", "e\u0301"))  # one id, written in two ways
    with refused(Reason.ID_INVALID, "source_person_id"):
        await matcher.stub.MergePersons(merge("", "ann"))
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await matcher.stub.MergePersons(merge("ann", "ben", "elsewhere"))
    assert len(await held(matcher, "ann")) == 1


@pytest.mark.parametrize("expired", ["annie", "ann"])
async def test_an_expired_copy_neither_counts_nor_replaces_the_unexpired_one(
    matcher: RunningMatcher, administrator: asyncpg.Connection, expired: str
) -> None:
    shared, own = vectors(2)
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    for person in ("annie", "ann"):
        request = enroll(person, encoding(shared))
        if person == expired:
            request.expire_time.FromDatetime(soon)
        await matcher.stub.Enroll(request)
    brief = enroll("annie", encoding(vectors(3)[2]))
    brief.expire_time.FromDatetime(soon)
    await matcher.stub.Enroll(brief)
    await matcher.stub.Enroll(enroll("ann", encoding(own)))
    await expire(administrator)
    merged = await matcher.stub.MergePersons(merge("annie", "ann"))
    assert merged.faces_moved == (1 if expired == "ann" else 0)
    assert merged.person.face_count == 2
    claim = await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(shared)))
    assert (claim.distance, claim.faces_compared) == (0, 2)


async def test_a_face_deleted_while_it_moves_is_deleted(matcher: RunningMatcher, database_url: str) -> None:
    """The merge holds its locks when the deletion arrives, and commits then."""
    await matcher.stub.Enroll(enroll("annie", encoding(vectors(2)[0])))
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(2)[1])))
    (face_id,) = await held(matcher, "annie")
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            keys = {
                row["person_id"]: row["person_key"]
                for row in await connection.fetch(
                    f"SELECT person_id, person_key FROM facerec.{PERSON} ORDER BY person_id FOR UPDATE"
                )
            }
            await connection.execute(
                f"UPDATE facerec.{FACE} SET person_key = $1 WHERE person_key = $2", keys["ann"], keys["annie"]
            )
            await connection.execute(f"DELETE FROM facerec.{PERSON} WHERE person_key = $1", keys["annie"])
            deleting = asyncio.ensure_future(
                matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=face_id), timeout=LIMIT_SECONDS)
            )
            watcher = await asyncpg.connect(database_url)

            async def waits() -> bool:
                return bool(await watcher.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

            await until(waits)
            await watcher.close()
            assert not deleting.done()
        assert (await deleting).faces_deleted == 1
    finally:
        await connection.close()
    assert face_id not in await held(matcher, "ann")


async def test_concurrent_opposite_merges_and_enrollments_lose_nothing(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matchers = [await start_matcher(database_url) for _ in range(2)]
    drawn = [encoding(vector) for vector in vectors(60)]
    acknowledged: set[str] = set()

    async def enrolling(start: int) -> None:
        for number in range(start, len(drawn), 3):
            person = ("ann", "ben")[number % 2]
            answer = await retried(matchers[number % 2].stub.Enroll, enroll(person, drawn[number]))
            acknowledged.add(answer.faces[0].face.face_id)

    async def merging(source: str, target: str, stub: Any) -> None:
        for _ in range(25):
            await retried(stub.MergePersons, merge(source, target), Reason.PERSON_NOT_FOUND)
            await asyncio.sleep(0)

    await asyncio.gather(
        *map(enrolling, range(3)),
        merging("ann", "ben", matchers[0].stub),
        merging("ben", "ann", matchers[1].stub),
    )
    persons = (await matchers[0].stub.ListPersons(pb.ListPersonsRequest())).persons
    left = [face_id for person in persons for face_id in await held(matchers[1], person.person_id)]
    assert set(left) == acknowledged
    assert len(left) == len(drawn) == sum(person.face_count for person in persons)
