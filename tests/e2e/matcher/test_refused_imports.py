"""Imports do not search for duplicates, so a collection that refuses those refuses imports."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import audit_pb2, review_pb2, transfer_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.blocking import held, owners, person_locked, waiting
from tests.e2e.matcher.catalog import change_settings
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import Request, chunk, header, send
from tests.fixtures.matcher import RunningMatcher

Pair = tuple[RunningMatcher, RunningMatcher]
FLAG, REFUSE = pb.DUPLICATE_POLICY_FLAG, pb.DUPLICATE_POLICY_REFUSE


@pytest.mark.parametrize("dry_run", [False, True])
async def test_an_import_is_refused_if_duplicates_are_refused(matcher: RunningMatcher, dry_run: bool) -> None:
    await change_settings(matcher, duplicate_policy=REFUSE)
    with refused(Reason.OPTION_INVALID, "header.ignore_duplicate_policy", "ListDuplicates"):
        await send(matcher, header(dry_run=dry_run), chunk(vectors(1), ["ann"]))
    assert not (await matcher.stub.ListPersons(pb.ListPersonsRequest())).persons


async def test_duplicates_added_by_an_import_are_listed(matcher: RunningMatcher) -> None:
    faces = vectors(3)
    await change_settings(matcher, duplicate_policy=REFUSE)
    await matcher.stub.Enroll(enroll("ann", encoding(faces[0])))
    answer = await send(
        matcher, header(ignore_duplicate_policy=True), chunk(faces, ["mallory", "bob", "cat"])
    )
    assert answer.faces_added == 3
    listed = await matcher.collections.ListDuplicates(review_pb2.ListDuplicatesRequest())
    (pair,) = listed.pairs
    assert {pair.person_id_a, pair.person_id_b} == {"ann", "mallory"}
    audited = await matcher.collections.ListAuditEvents(audit_pb2.ListAuditEventsRequest())
    (event,) = [event for event in audited.events if event.action == audit_pb2.AUDIT_ACTION_IMPORT]
    assert event.details["duplicate_policy"] == "ignored"


async def test_a_running_import_ends_when_the_policy_becomes_refuse(matcher: RunningMatcher) -> None:
    faces = vectors(2)
    committed, changed = asyncio.Event(), asyncio.Event()

    async def parts() -> AsyncIterator[Request]:
        yield header()
        yield chunk(faces[:1], ["ann"])
        committed.set()
        await changed.wait()
        yield chunk(faces[1:], ["bob"])

    call = matcher.stub.ImportFaces(parts())
    await committed.wait()
    async with asyncio.timeout(10):
        while not (await progress(matcher)).next_row:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await change_settings(matcher, duplicate_policy=REFUSE)
    changed.set()
    with refused(Reason.OPTION_INVALID, "header.ignore_duplicate_policy"):
        await call
    assert (await progress(matcher)).next_row == 1
    assert await owners(matcher, faces[0]) == ["ann"]
    assert not await owners(matcher, faces[1])


async def progress(matcher: RunningMatcher) -> transfer_pb2.GetImportResponse:
    answer: transfer_pb2.GetImportResponse = await matcher.stub.GetImport(
        transfer_pb2.GetImportRequest(import_id="first")
    )
    return answer


async def test_a_face_that_was_imported_since_the_search_is_found(pair: Pair, database_url: str) -> None:
    ann, face = vectors(2)
    await pair[0].stub.Enroll(enroll("ann", encoding(ann)))
    await change_settings(pair[0], duplicate_policy=REFUSE)
    async with held(database_url, person_locked("ann")):
        late = asyncio.ensure_future(pair[0].stub.Enroll(enroll("ann", encoding(face))))
        await waiting(database_url)
        await send(pair[1], header(ignore_duplicate_policy=True), chunk(face[None], ["bob"]))
    with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
        await late
