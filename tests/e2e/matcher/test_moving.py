"""Moving faces to the person whose they are, other ids, and several persons at once."""

import asyncio
import uuid

import asyncpg
import numpy as np
from google.protobuf.duration_pb2 import Duration

from facerec.errors import Reason
from facerec.matcher.v1 import audit_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import encoding, enroll, refused, retried, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher

FACE, PERSON = partition_name("face", "default"), partition_name("person", "default")


async def held(matcher: RunningMatcher, person_id: str) -> list[str]:
    listed = await matcher.stub.ListFaces(pb.ListFacesRequest(person_id=person_id, page_size=1000))
    return [face.face_id for face in listed.faces]


async def add(matcher: RunningMatcher, person_id: str, *drawn: np.ndarray) -> list[str]:
    answer = await matcher.stub.Enroll(enroll(person_id, *map(encoding, drawn)))
    return [face.face.face_id for face in answer.faces]


async def centroid(database_url: str, person_id: str) -> np.ndarray | None:
    connection = await asyncpg.connect(database_url)
    try:
        select = f"SELECT centroid::text FROM facerec.{PERSON} WHERE person_id = $1"
        text = await connection.fetchval(select, person_id)
    finally:
        await connection.close()
    return None if text is None else np.array(text.strip("[]").split(","), dtype=float)


async def test_moved_faces_decide_for_their_new_person(matcher: RunningMatcher, database_url: str) -> None:
    drawn = vectors(4)
    wrong = (await add(matcher, "ann", *drawn[:3]))[1:]
    own = await add(matcher, "ben", drawn[3])
    moved = await matcher.stub.MoveFaces(pb.MoveFacesRequest(face_ids=wrong, target_person_id="ben"))
    assert (moved.faces_moved, moved.copies_deleted, moved.person_created) == (2, 0, False)
    assert (moved.person.person_id, moved.person.face_count) == ("ben", 3)
    assert sorted(await held(matcher, "ben")) == sorted(own + wrong)
    claim = await matcher.stub.Verify(pb.VerifyRequest(person_id="ben", probe=encoding(drawn[1])))
    assert (claim.match, claim.nearest_face_id, claim.faces_compared) == (True, wrong[0], 3)
    for person, mean in (("ann", drawn[:1]), ("ben", drawn[1:])):
        stored = await centroid(database_url, person)
        assert stored is not None
        np.testing.assert_allclose(stored, mean.mean(axis=0), atol=1e-6)
    again = await matcher.stub.MoveFaces(pb.MoveFacesRequest(face_ids=wrong, target_person_id="ben"))
    assert (again.faces_moved, again.person) == (0, moved.person)


async def test_faces_of_several_persons_move_to_a_new_one_and_empty_persons_stay(
    matcher: RunningMatcher, database_url: str
) -> None:
    drawn = vectors(3)
    faces = [*await add(matcher, "ann", drawn[0]), *await add(matcher, "ben", drawn[1], drawn[2])]
    move = pb.MoveFacesRequest(face_ids=[faces[0], faces[1]], target_person_id="cleo")
    moved = await matcher.stub.MoveFaces(move)
    assert (moved.person_created, moved.faces_moved) == (True, 2)
    assert sorted(await held(matcher, "cleo")) == sorted(faces[:2])
    ann = (await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))).person
    assert ann.face_count == 0
    assert await centroid(database_url, "ann") is None
    with refused(Reason.FACE_NOT_FOUND, "person_id"):
        await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(drawn[0])))


async def test_copies_are_kept_once(matcher: RunningMatcher) -> None:
    shared, other = vectors(2)
    first = await add(matcher, "ann", shared, other)
    second = await add(matcher, "ben", shared)
    kept = await add(matcher, "cleo", other)
    move = pb.MoveFacesRequest(face_ids=[*first, *second], target_person_id="cleo")
    moved = await matcher.stub.MoveFaces(move)
    assert (moved.faces_moved, moved.copies_deleted, moved.person.face_count) == (1, 2, 2)
    assert sorted(await held(matcher, "cleo")) == sorted([*kept, first[0]])


async def test_a_move_of_a_face_that_does_not_exist_changes_nothing(matcher: RunningMatcher) -> None:
    faces = await add(matcher, "ann", *vectors(2))
    move = pb.MoveFacesRequest(face_ids=[faces[0], str(uuid.uuid4())], target_person_id="new")
    with refused(Reason.STORED_FACE_NOT_FOUND, "face_ids[1]"):
        await matcher.stub.MoveFaces(move)
    assert sorted(await held(matcher, "ann")) == sorted(faces)
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="new"))


async def test_a_face_past_the_retention_is_erased_and_not_moved(
    matcher: RunningMatcher, database_url: str
) -> None:
    old, new = await add(matcher, "ann", *vectors(2))
    settings = pb.CollectionSettings(retention=Duration(seconds=3600))
    await matcher.collections.UpdateCollection(pb.UpdateCollectionRequest(settings=settings))
    connection = await asyncpg.connect(database_url)
    try:
        age = f"UPDATE facerec.{FACE} SET create_time = now() - interval '2 hours' WHERE face_id = $1"
        await connection.execute(age, uuid.UUID(old))
    finally:
        await connection.close()
    with refused(Reason.STORED_FACE_NOT_FOUND, "face_ids[1]"):
        await matcher.stub.MoveFaces(pb.MoveFacesRequest(face_ids=[new, old], target_person_id="ben"))
    assert sorted(await held(matcher, "ann")) == sorted([old, new])  # nothing was changed


async def test_a_move_beyond_a_persons_limit_changes_nothing(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url, max_faces_per_person=2)
    drawn = vectors(3)
    await add(matcher, "ann", drawn[0], drawn[1])
    faces = await add(matcher, "ben", drawn[2])
    with refused(Reason.PERSON_FULL, "target_person_id"):
        await matcher.stub.MoveFaces(pb.MoveFacesRequest(face_ids=faces, target_person_id="ann"))
    assert await held(matcher, "ben") == faces


async def test_a_merge_is_taken_back_by_moving_its_faces(matcher: RunningMatcher) -> None:
    drawn = vectors(3)
    faces = await add(matcher, "annie", drawn[0], drawn[1])
    own = await add(matcher, "ann", drawn[2])
    merge = pb.MergePersonsRequest(source_person_id="annie", target_person_id="ann")
    merged = await matcher.stub.MergePersons(merge)
    assert sorted(merged.moved_face_ids) == sorted(faces)
    back = pb.MoveFacesRequest(face_ids=merged.moved_face_ids, target_person_id="annie")
    assert (await matcher.stub.MoveFaces(back)).person_created
    assert (sorted(await held(matcher, "annie")), await held(matcher, "ann")) == (sorted(faces), own)


async def test_moves_at_once_lose_and_double_nothing(
    matcher: RunningMatcher, start_matcher: StartMatcher, database_url: str
) -> None:
    other = await start_matcher(database_url)
    drawn = vectors(12)
    faces = [
        face for i, name in enumerate("abcd") for face in await add(matcher, name, *drawn[3 * i : 3 * i + 3])
    ]

    async def change(number: int) -> None:
        random = np.random.default_rng(number)
        stub = (matcher, other)[number % 2].stub
        for _ in range(4):
            chosen = random.choice(faces, 3, replace=False)
            move = pb.MoveFacesRequest(face_ids=chosen, target_person_id=str(random.choice(list("abcd"))))
            await retried(stub.MoveFaces, move)

    await asyncio.gather(*(change(number) for number in range(4)))
    people = [person for name in "abcd" for person in await held(matcher, name)]
    assert sorted(people) == sorted(faces)


async def test_a_renamed_person_keeps_faces_events_and_tries(matcher: RunningMatcher) -> None:
    vector, other = vectors(2)
    faces = await add(matcher, "ann", vector)
    await add(matcher, "ben", other)
    renamed = await matcher.stub.RenamePerson(pb.RenamePersonRequest(person_id="ann", new_person_id="anna"))
    assert (renamed.person.person_id, renamed.person.face_count) == ("anna", 1)
    assert await held(matcher, "anna") == faces
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.RenamePerson(pb.RenamePersonRequest(person_id="ann", new_person_id="anne"))
    with refused(Reason.PERSON_EXISTS, "new_person_id"):
        await matcher.stub.RenamePerson(pb.RenamePersonRequest(person_id="anna", new_person_id="ben"))
    with refused(Reason.OPTION_INVALID, "new_person_id"):
        await matcher.stub.RenamePerson(pb.RenamePersonRequest(person_id="anna", new_person_id="anna"))
    await matcher.stub.RenamePerson(pb.RenamePersonRequest(person_id="anna", new_person_id="a"))
    await matcher.stub.Enroll(enroll("a", encoding(vectors(1, seed=8)[0])))
    listing = audit_pb2.ListAuditEventsRequest(person_id="a", kind=audit_pb2.AUDIT_KIND_CHANGES)
    events = (await matcher.collections.ListAuditEvents(listing)).events
    actions = [audit_pb2.AuditAction.Name(event.action).removeprefix("AUDIT_ACTION_") for event in events]
    assert actions == ["ENROLL", "RENAME_PERSON", "RENAME_PERSON", "ENROLL"]


async def test_several_persons_are_read_in_the_order_asked_for(matcher: RunningMatcher) -> None:
    for name, vector in zip("abc", vectors(3), strict=True):
        await add(matcher, name, vector)
    found = await matcher.stub.BatchGetPersons(pb.BatchGetPersonsRequest(person_ids=["c", "a", "c"]))
    assert [(person.person_id, person.face_count) for person in found.persons] == [
        ("c", 1),
        ("a", 1),
        ("c", 1),
    ]
    with refused(Reason.PERSON_NOT_FOUND, "person_ids[1]"):
        await matcher.stub.BatchGetPersons(pb.BatchGetPersonsRequest(person_ids=["a", "x", "c"]))


async def test_several_persons_are_erased_with_one_receipt_and_an_event_each(matcher: RunningMatcher) -> None:
    drawn = vectors(4)
    await add(matcher, "a", drawn[0])
    await add(matcher, "b", drawn[1], drawn[2])
    await add(matcher, "c", drawn[3])
    erase = pb.BatchDeletePersonsRequest(person_ids=["b", "nobody", "a", "b"])
    receipt = await matcher.stub.BatchDeletePersons(erase)
    assert (receipt.persons_deleted, receipt.faces_deleted) == (2, 3)
    listed = await matcher.stub.ListPersons(pb.ListPersonsRequest())
    assert [person.person_id for person in listed.persons] == ["c"]
    events = (await matcher.collections.ListAuditEvents(audit_pb2.ListAuditEventsRequest())).events
    erased = [event for event in events if event.action == audit_pb2.AUDIT_ACTION_DELETE_PERSON]
    assert sorted((event.persons, event.faces) for event in erased) == [(1, 1), (1, 2)]
    again = await matcher.stub.BatchDeletePersons(erase)
    assert (again.persons_deleted, again.faces_deleted, again.erasure_id) == (0, 0, "")
