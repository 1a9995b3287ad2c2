"""A change of a person with expired faces erases those as `maintain` does."""

from collections.abc import Awaitable, Callable

import asyncpg
import grpc.aio
import pytest

from facerec.matcher.v1 import audit_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import encoding, enroll, vectors
from tests.e2e.matcher.test_audit import actions, events
from tests.e2e.matcher.test_purging import centroid_error
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.matcher import RunningMatcher

FACES = partition_name("face", "default")
LASTING, BRIEF, OTHER, OTHER_BRIEF = vectors(4)
Make = Callable[[RunningMatcher], Awaitable[object]]


async def enroll_it_again(matcher: RunningMatcher) -> object:
    return await matcher.stub.Enroll(enroll("ann", encoding(BRIEF)))


async def enroll_what_is_there(matcher: RunningMatcher) -> object:
    return await matcher.stub.Enroll(enroll("ann", encoding(LASTING)))


async def merge(matcher: RunningMatcher) -> object:
    request = pb.MergePersonsRequest(source_person_id="ben", target_person_id="ann")
    return await matcher.stub.MergePersons(request)


async def import_it_again(matcher: RunningMatcher) -> object:
    return await send(matcher, header(), chunk(BRIEF[None], ["ann"]))


CHANGES = [enroll_it_again, enroll_what_is_there, merge, import_it_again]
EXPIRED = f"UPDATE facerec.{FACES} SET expire_time = now() - interval '1 s' WHERE face_id::text = ANY ($1)"
TOO_OLD = f"UPDATE facerec.{FACES} SET create_time = now() - interval '2 h' WHERE face_id::text = ANY ($1)"


@pytest.fixture(params=[EXPIRED, TOO_OLD], ids=["expired", "too old"])
async def gone(
    matcher: RunningMatcher, administrator: asyncpg.Connection, request: pytest.FixtureRequest
) -> list[str]:
    """Ids of two faces that have expired, of people who have another each; the first is ann's."""
    found = []
    for name, lasting, brief in (("ann", LASTING, BRIEF), ("ben", OTHER, OTHER_BRIEF)):
        answer = await matcher.stub.Enroll(enroll(name, encoding(brief), encoding(lasting)))
        found.append(answer.faces[0].face.face_id)
    await administrator.execute("UPDATE facerec.collection SET retention = interval '1 h'")
    await administrator.execute(request.param, found)
    return found


async def left(administrator: asyncpg.Connection, face_ids: list[str]) -> list[bool]:
    """Whether each face still has a row."""
    rows = await administrator.fetch(f"SELECT face_id::text FROM facerec.{FACES}")
    return [face_id in {row[0] for row in rows} for face_id in face_ids]


async def receipts(administrator: asyncpg.Connection) -> list[tuple[int, int]]:
    """Persons and faces of every receipt."""
    rows = await administrator.fetch("SELECT persons, faces FROM facerec.erasure ORDER BY delete_time")
    return [tuple(row) for row in rows]


async def expirations(matcher: RunningMatcher) -> list[audit_pb2.AuditEvent]:
    changes = await events(matcher, kind=audit_pb2.AUDIT_KIND_CHANGES)
    return [each for each in changes if actions([each]) == ["EXPIRE"]]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_that_erases_expired_faces_leaves_a_receipt_an_event_and_the_right_mean(
    matcher: RunningMatcher,
    administrator: asyncpg.Connection,
    gone: list[str],
    database_url: str,
    change: Make,
) -> None:
    (ann,) = {each.person_tag for each in await events(matcher, person_id="ann")}
    (ben,) = {each.person_tag for each in await events(matcher, person_id="ben")}
    await change(matcher)
    assert await left(administrator, gone) == [False, change is not merge]
    assert await receipts(administrator) == ([(0, 2), (1, 0)] if change is merge else [(0, 1)])
    tags = [ann, ben] if change is merge else [""] if change is import_it_again else [ann]
    found = await expirations(matcher)
    assert sorted(each.person_tag for each in found) == sorted(tags)
    assert {(each.persons, each.faces) for each in found} == {(0, 1)}
    assert await centroid_error(database_url) < 1e-6
    await runner.run_once(MaintenanceOptions(database_url, scrub=True))
    assert not await administrator.fetch("SELECT FROM facerec.erasure WHERE scrub_time IS NULL")


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_that_is_rolled_back_erases_nothing(
    matcher: RunningMatcher, administrator: asyncpg.Connection, gone: list[str], change: Make
) -> None:
    await administrator.execute("REVOKE INSERT ON facerec.audit FROM facerec_serve")
    with pytest.raises(grpc.aio.AioRpcError):
        await change(matcher)
    assert await left(administrator, gone) == [True, True]
    assert await receipts(administrator) == []
    await administrator.execute("GRANT INSERT ON facerec.audit TO facerec_serve")
    await change(matcher)
    assert await left(administrator, gone) == [False, change is not merge]


@pytest.mark.parametrize("change", [enroll_it_again, enroll_what_is_there, import_it_again])
async def test_without_expired_faces_there_is_no_receipt_and_no_event(
    matcher: RunningMatcher, administrator: asyncpg.Connection, change: Make
) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(BRIEF), encoding(LASTING)))
    await change(matcher)
    assert await receipts(administrator) == []
    assert await expirations(matcher) == []


async def test_a_face_past_the_retention_can_be_enrolled_again(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    await administrator.execute("UPDATE facerec.collection SET retention = interval '1 h'")
    await send(matcher, header(), chunk(vectors(2), ["ann", "ben"]))
    await administrator.execute(f"UPDATE facerec.{FACES} SET create_time = now() - interval '2 h'")
    again = chunk(vectors(2), ["ann", "ben"])
    tried = await send(matcher, header("second", dry_run=True), again)
    assert (tried.faces_added, tried.faces_already_there) == (2, 0)
    enrolled = await matcher.stub.Enroll(enroll("ann", encoding(vectors(2)[0])))
    assert not enrolled.faces[0].already_enrolled
    imported = await send(matcher, header("second"), again)
    assert (imported.faces_added, imported.faces_already_there) == (1, 1)
    await runner.run_once(MaintenanceOptions(database_url))
    persons = (await matcher.stub.ListPersons(pb.ListPersonsRequest())).persons
    assert [(each.person_id, each.face_count) for each in persons] == [("ann", 1), ("ben", 1)]


@pytest.mark.parametrize("past", [EXPIRED, TOO_OLD], ids=["expired", "too old"])
async def test_a_person_whose_faces_are_all_expired_is_erased_by_a_merge_too(
    matcher: RunningMatcher, administrator: asyncpg.Connection, gone: list[str], database_url: str, past: str
) -> None:
    every = await administrator.fetch(f"SELECT face_id::text FROM facerec.{FACES}")
    await administrator.execute(past, [row[0] for row in every])
    await merge(matcher)
    assert await receipts(administrator) == [(0, 2), (1, 0)]
    await runner.run_once(MaintenanceOptions(database_url))
    assert await receipts(administrator) == [(0, 2), (1, 0), (1, 2)]
    assert await administrator.fetchval("SELECT count(*) FROM facerec.person") == 0


@pytest.mark.parametrize("source", ["ann", "ben"])
async def test_a_merge_keeps_only_the_unexpired_faces(
    matcher: RunningMatcher,
    administrator: asyncpg.Connection,
    gone: list[str],
    database_url: str,
    source: str,
) -> None:
    listed = await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="ann"))
    await administrator.execute(EXPIRED, [face.face_id for face in listed.faces])
    target = "ben" if source == "ann" else "ann"
    request = pb.MergePersonsRequest(source_person_id=source, target_person_id=target)
    merged = await matcher.stub.MergePersons(request)
    assert (merged.person.face_count, merged.faces_moved) == (1, source == "ben")
    assert await administrator.fetchval(f"SELECT count(*) FROM facerec.{FACES}") == 1
    assert await centroid_error(database_url) < 1e-6
