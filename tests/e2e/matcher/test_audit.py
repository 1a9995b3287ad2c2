"""Audit events are written with the change itself, and name no person."""

import asyncio
import datetime
from typing import Any

import asyncpg
import numpy as np
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import audit_pb2, calibration_pb2, transfer_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.audit import decisions
from matcher_service.audit.changes import Action
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.vectors import Dataset
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.dataset import load
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import until


async def events(matcher: RunningMatcher, **fields: Any) -> list[audit_pb2.AuditEvent]:
    """The events of all pages, two a page."""
    found, token = list[audit_pb2.AuditEvent](), ""
    while True:
        request = audit_pb2.ListAuditEventsRequest(page_size=2, page_token=token, **fields)
        answer = await matcher.collections.ListAuditEvents(request)
        found += answer.events
        token = answer.next_page_token
        if not token:
            return found


def actions(found: list[audit_pb2.AuditEvent]) -> list[str]:
    return [audit_pb2.AuditAction.Name(each.action).removeprefix("AUDIT_ACTION_") for each in found]


async def written(matcher: RunningMatcher, count: int) -> list[audit_pb2.AuditEvent]:
    """The decisions on record, once there are so many."""

    async def there() -> bool:
        return len(await events(matcher, kind=audit_pb2.AUDIT_KIND_DECISIONS)) >= count

    await until(there)
    return await events(matcher, kind=audit_pb2.AUDIT_KIND_DECISIONS)


async def on_record(matcher: RunningMatcher, collection_id: str, count: int) -> None:
    """Wait until so many events of a collection are on record."""

    async def there() -> bool:
        return len(await events(matcher, collection_id=collection_id)) >= count

    await until(there)


async def test_every_change_has_an_event_and_the_newest_is_first(matcher: RunningMatcher) -> None:
    faces = vectors(6)
    enrolled = await matcher.stub.Enroll(enroll("ann", *map(encoding, faces[:3])))
    await matcher.stub.Enroll(enroll("ann", encoding(faces[0])))  # there already: nothing changed
    await matcher.stub.Enroll(enroll("bob", encoding(faces[3])))
    await matcher.stub.UpdatePerson(pb.UpdatePersonRequest(person_id="ann", display_name="Ann"))
    await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=enrolled.faces[0].face.face_id))
    await matcher.stub.MergePersons(pb.MergePersonsRequest(source_person_id="bob", target_person_id="ann"))
    await send(matcher, header(), chunk(faces[4:], ["cy", "di"]))
    async for _ in matcher.stub.ExportFaces(transfer_pb2.ExportFacesRequest()):
        pass
    settings = pb.CollectionSettings(verify_threshold=0.55, display_name="Secret Name")
    await matcher.collections.UpdateCollection(pb.UpdateCollectionRequest(settings=settings))
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="cy"))
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="nobody"))

    found = await events(matcher, kind=audit_pb2.AUDIT_KIND_CHANGES)
    assert actions(found) == [
        "DELETE_PERSON", "UPDATE_COLLECTION", "EXPORT", "IMPORT", "MERGE_PERSONS", "DELETE_FACE",
        "UPDATE_PERSON", "ENROLL", "ENROLL",
    ]  # fmt: skip
    by_action = dict(zip(actions(found), found, strict=True))
    assert by_action["UPDATE_COLLECTION"].details == {
        "verify_threshold": "0.6 -> 0.55",
        "display_name": "changed",
    }
    assert (by_action["IMPORT"].persons, by_action["IMPORT"].faces) == (2, 2)
    assert found[-1].faces == 3
    ann = by_action["UPDATE_PERSON"].person_tag
    assert len(ann) == 32
    assert by_action["MERGE_PERSONS"].person_tag == ann
    bob = next(each for each in found if actions([each]) == ["ENROLL"] and each.person_tag != ann)
    assert by_action["MERGE_PERSONS"].details == {"source_person_tag": bob.person_tag}
    of_ann = await events(matcher, person_id="ann")
    assert actions(of_ann) == ["MERGE_PERSONS", "DELETE_FACE", "UPDATE_PERSON", "ENROLL"]


async def test_a_new_name_has_an_event_whichever_call_sets_it(matcher: RunningMatcher) -> None:
    first, second = map(encoding, vectors(2))
    for face, name in ((first, "Ann"), (first, "Ann"), (first, "Anna"), (second, "Anne"), (first, "Anne")):
        await matcher.stub.Enroll(enroll("ann", face, display_name=name))
    await matcher.stub.Enroll(enroll("ann", first))
    found = await events(matcher, person_id="ann")
    assert actions(found) == ["UPDATE_PERSON", "ENROLL", "UPDATE_PERSON", "ENROLL"]
    assert [(each.persons, each.faces) for each in found] == [(1, 0), (1, 1), (1, 0), (1, 1)]


async def test_a_change_that_was_not_made_has_no_event(matcher: RunningMatcher, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("REVOKE INSERT ON facerec.audit FROM facerec_serve")
    with pytest.raises(Exception):  # noqa: B017
        await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    await connection.execute("GRANT INSERT ON facerec.audit TO facerec_serve")
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))
    assert await events(matcher) == []
    await connection.execute("SET ROLE facerec_serve")
    for forbidden in ("DELETE FROM facerec.audit", "UPDATE facerec.audit SET caller = 'x'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(forbidden)
    await connection.close()


async def test_decisions_are_written_in_batches_with_their_outcome(matcher: RunningMatcher) -> None:
    near, fmr = vectors(2)
    await matcher.stub.Enroll(enroll("ann", encoding(near)))
    await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(near)))
    await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(fmr)))
    await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(near), encoding(fmr)]))
    await matcher.stub.Compare(pb.CompareRequest(probe_a=encoding(near), probe_b=encoding(near)))
    found = await written(matcher, 5)
    ann = (await events(matcher, kind=audit_pb2.AUDIT_KIND_CHANGES))[0].person_tag
    match, no_match = audit_pb2.AUDIT_OUTCOME_MATCH, audit_pb2.AUDIT_OUTCOME_NO_MATCH
    assert [(*actions([each]), each.outcome, each.person_tag) for each in found] == [
        ("COMPARE", match, ""),
        ("IDENTIFY", no_match, ""),
        ("IDENTIFY", match, ann),
        ("VERIFY", no_match, ann),
        ("VERIFY", match, ann),
    ]
    times = [each.event_time.ToDatetime() for each in found]
    assert times == sorted(times, reverse=True)


async def test_an_erased_person_cannot_be_found_in_the_audit(
    matcher: RunningMatcher, database_url: str
) -> None:
    faces = vectors(2)
    await matcher.stub.Enroll(enroll("somebody in particular", encoding(faces[0])))
    await matcher.stub.Verify(pb.VerifyRequest(person_id="somebody in particular", probe=encoding(faces[0])))
    old = (await written(matcher, 1))[0].person_tag
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="somebody in particular"))
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await events(matcher, person_id="somebody in particular")
    await matcher.stub.Enroll(enroll("somebody in particular", encoding(faces[0])))
    again = await events(matcher, person_id="somebody in particular")
    assert actions(again) == ["ENROLL"]
    assert again[0].person_tag != old  # another key: what was done before is another's
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch("SELECT a::text AS row FROM facerec.audit a")
    await connection.close()
    assert len(rows) == 4
    assert not any("somebody" in row["row"] for row in rows)


async def test_a_stop_writes_waiting_decisions_and_a_database_outage_loses_none(
    start_matcher: StartMatcher, matcher: RunningMatcher, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "WRITE_SECONDS", 3600.0)
    other = await start_matcher(database_url)
    face = encoding(vectors(1)[0])
    await other.stub.Enroll(enroll("ann", face))
    for _ in range(7):
        await other.stub.Verify(pb.VerifyRequest(person_id="ann", probe=face))
    assert await events(matcher, kind=audit_pb2.AUDIT_KIND_DECISIONS) == []
    connection = await asyncpg.connect(database_url)
    log = other.service._decisions
    await connection.execute("REVOKE INSERT ON facerec.audit FROM facerec_serve")
    await log._write_all()
    await connection.execute("GRANT INSERT ON facerec.audit TO facerec_serve")
    log.add("erased-meanwhile", Action.VERIFY, "ann", match=True)
    await connection.close()
    await other.service.stop()
    assert len(await events(matcher, kind=audit_pb2.AUDIT_KIND_DECISIONS)) == 7


async def test_a_locked_collection_does_not_delay_decisions_of_others(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url, lock_timeout_seconds=25, statement_timeout_seconds=90)
    face = encoding(vectors(1)[0])
    await matcher.collections.CreateCollection(pb.CreateCollectionRequest(collection_id="lab"))
    for name in ("lab", "default"):
        await matcher.stub.Enroll(enroll("ann", face, collection_id=name))
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            for name in ("lab", "default", "lab"):
                await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=face, collection_id=name))
            table = partition_name("person", "lab")
            await connection.execute(f"LOCK TABLE facerec.{table} IN ACCESS EXCLUSIVE MODE")
            await written(matcher, 1)
            for count in (2, 3):  # at once, and not after the lock was waited for again
                await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=face))
                async with asyncio.timeout(22):
                    await written(matcher, count)
    finally:
        await connection.close()
    await on_record(matcher, "lab", 4)


async def test_decisions_can_be_turned_off(start_matcher: StartMatcher, database_url: str) -> None:
    matcher = await start_matcher(database_url, audit_decisions=False)
    face = encoding(vectors(1)[0])
    await matcher.stub.Enroll(enroll("ann", face))
    await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=face))
    await matcher.service.stop()
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM facerec.audit") == 1
    await connection.close()


async def test_events_of_each_kind_are_deleted_after_their_retention(
    matcher: RunningMatcher, database_url: str
) -> None:
    face = encoding(vectors(1)[0])
    await matcher.collections.CreateCollection(pb.CreateCollectionRequest(collection_id="lab"))
    await matcher.stub.Enroll(enroll("ann", face, collection_id="lab"))
    await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=face, collection_id="lab"))
    await on_record(matcher, "lab", 3)
    await matcher.collections.DeleteCollection(pb.DeleteCollectionRequest(collection_id="lab", force=True))
    # The events of a collection are kept after its deletion.
    assert actions(await events(matcher, collection_id="lab")) == [
        "DELETE_COLLECTION", "VERIFY", "ENROLL", "CREATE_COLLECTION",
    ]  # fmt: skip
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE facerec.audit SET event_time = now() - interval '40 days'")
    await connection.close()
    await runner.run_once(MaintenanceOptions(database_url, audit_retention_days=0, decision_retention_days=0))
    assert len(await events(matcher, collection_id="lab")) == 4
    await runner.run_once(MaintenanceOptions(database_url))
    left = actions(await events(matcher, collection_id="lab"))
    assert left == ["DELETE_COLLECTION", "ENROLL", "CREATE_COLLECTION"]
    await runner.run_once(MaintenanceOptions(database_url, audit_retention_days=39))
    assert await events(matcher, collection_id="lab") == []


async def test_events_can_be_listed_by_time(matcher: RunningMatcher) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    (event,) = await events(matcher)
    time = event.event_time.ToDatetime(tzinfo=datetime.UTC)
    request = audit_pb2.ListAuditEventsRequest()
    request.start_time.FromDatetime(time + datetime.timedelta(seconds=1))
    assert not (await matcher.collections.ListAuditEvents(request)).events
    request.start_time.FromDatetime(time)
    assert len((await matcher.collections.ListAuditEvents(request)).events) == 1
    request.end_time.FromDatetime(time)
    assert not (await matcher.collections.ListAuditEvents(request)).events


async def test_an_applied_calibration_has_an_event_and_gives_expected_false_positives(
    matcher: RunningMatcher, database_url: str
) -> None:
    dataset = Dataset(400, photos=2, even=True, seed=9).all()
    connection = await asyncpg.connect(database_url)
    await load(connection, dataset)
    await connection.execute("ANALYZE")
    await connection.close()
    identify = pb.IdentifyRequest(probes=[encoding(dataset.encodings[0])], max_distance=0.6)
    assert not (await matcher.stub.Identify(identify)).HasField("expected_false_positives")
    found = (
        await matcher.collections.Calibrate(calibration_pb2.CalibrateRequest(target_fmr=0.01))
    ).calibration
    await matcher.collections.ApplyCalibration(
        calibration_pb2.ApplyCalibrationRequest(calibration_id=found.calibration_id)
    )
    collection = (await matcher.collections.GetCollection(pb.GetCollectionRequest())).collection
    assert collection.calibration_id == found.calibration_id
    (event,) = [each for each in await events(matcher) if each.details.get("calibration_id")]
    assert event.details["verify_threshold"] == f"0.6 -> {found.verify.threshold:g}"
    answer = await matcher.stub.Identify(identify)
    point = next(point for point in found.curve if abs(point.threshold - 0.6) < 1e-9)
    assert answer.expected_false_positives == pytest.approx(point.fmr.value * 800, rel=0.01)
    assert answer.expected_false_positives_high == pytest.approx(point.fmr.high * 800, rel=0.01)
    # The expected false positives agree with those that happen, on average over everybody else's faces.
    distances = np.linalg.norm(dataset.encodings[:, None] - dataset.encodings[None], axis=2)
    others = dataset.people[:, None] != dataset.people[None]
    hits = ((distances <= 0.6) & others).sum(axis=1).mean()
    assert answer.expected_false_positives == pytest.approx(hits, rel=0.5)
