"""Suspended people stay enrolled and match no claim."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import numpy as np
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from facerec.client import AsyncCollectionClient, AsyncMatcherClient, CollectionSettings, Encoding, FaceBatch
from facerec.errors import FacerecError, Reason
from facerec.matcher.v1 import calibration_pb2, review_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.vectors import Dataset
from tests.e2e.matcher.requests import SPACE, encoding, enroll, refused, vectors
from tests.fixtures.dataset import load
from tests.fixtures.matcher import RunningMatcher

VECTORS = vectors(8)


def face(number: int, moved: float = 0.0) -> Encoding:
    """A vector, moved by a distance."""
    step = vectors(1, seed=number + 100)[0]
    return Encoding((VECTORS[number] + moved * step / np.linalg.norm(step)).astype(np.float32), SPACE)


async def reason_of(call: Any) -> Reason:
    with pytest.raises(FacerecError) as caught:
        await call
    return caught.value.reason


async def only(batch: FaceBatch) -> AsyncIterator[FaceBatch]:
    yield batch


async def suspended(client: AsyncMatcherClient, wanted: bool | None = True, **others: Any) -> list[str]:
    return [person.person_id async for person in client.list_persons(suspended=wanted, page_size=1, **others)]


async def test_a_suspended_person_matches_no_claim_until_resumed_and_is_still_there(
    matcher: RunningMatcher,
) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        for number, person in enumerate(("ann", "bob")):
            await client.enroll(person, face(number), labels={"site": "a"})
        before = await client.get_person("ann")
        after = await client.update_person("ann", suspended=True)
        assert (before.suspended, after.suspended) == (False, True)
        assert after.update_time > before.update_time
        assert await client.update_person("ann", suspended=True) == after
        for probe in (face(0), face(1), face(0, moved=0.5)):
            assert await reason_of(client.verify("ann", probe)) is Reason.PERSON_SUSPENDED
        for among in ({}, {"labels": {"site": "a"}}, {"person_ids": ["ann", "bob"]}, {"exact_only": True}):
            found = (await client.identify(face(0), face(1), max_distance=0.7, **among)).faces
            assert [[each.person_id for each in answer.candidates] for answer in found] == [[], ["bob"]]
            assert [answer.faces_searched for answer in found] == [1, 1]
            assert [answer.matched_persons for answer in found] == [0, 1]
        assert [person.suspended for person in await client.get_persons(["ann", "bob"])] == [True, False]
        assert await suspended(client) == ["ann"]
        assert await suspended(client, False) == ["bob"]
        assert await suspended(client, None, labels={"site": "a"}) == ["ann", "bob"]
        assert await suspended(client, True, labels={"site": "b"}) == []
        assert (await client.export_person("ann")).person.suspended
        assert (await client.rename_person("ann", "Ann")).suspended
        assert (await client.update_person("Ann", display_name="Ann")).suspended
        assert not (await client.update_person("Ann", suspended=False)).suspended
        assert (await client.verify("Ann", face(0))).match
        assert [each.person_id for each in (await client.identify(face(0))).faces[0].candidates] == ["Ann"]
        assert await reason_of(client.verify("nobody", face(0))) is Reason.PERSON_NOT_FOUND


async def test_a_mask_suspends_and_a_filter_of_identify_may_not_ask_for_it(matcher: RunningMatcher) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(VECTORS[0])))
    update = pb.UpdatePersonRequest(person_id="ann", suspended=True)
    update.update_mask.CopyFrom(FieldMask(paths=["display_name"]))
    with refused(Reason.OPTION_INVALID, "suspended"):  # set and not named
        await matcher.stub.UpdatePerson(update)
    update.update_mask.CopyFrom(FieldMask(paths=["suspended"]))
    assert (await matcher.stub.UpdatePerson(update)).person.suspended
    update.ClearField("suspended")
    assert not (await matcher.stub.UpdatePerson(update)).person.suspended
    for wanted in (True, False):
        chosen = pb.PersonFilter(suspended=wanted)
        with refused(Reason.OPTION_INVALID, "filter.suspended"):
            await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(VECTORS[0])], filter=chosen))


async def test_a_suspended_person_is_enrolled_to_and_found_as_a_duplicate(matcher: RunningMatcher) -> None:
    async with (
        AsyncMatcherClient(matcher.address) as client,
        AsyncCollectionClient(matcher.address) as collections,
    ):
        await client.enroll("ann", face(0))
        await client.update_person("ann", suspended=True)
        added = await client.enroll("ann", face(0, moved=0.1))
        assert (added.person.suspended, added.person.face_count) == (True, 2)
        flagged = await client.enroll("ann again", face(0, moved=0.2))
        assert not flagged.person.suspended
        assert flagged.faces[0].duplicate is not None
        assert flagged.faces[0].duplicate.person_id == "ann"
        pairs = [pair async for pair in collections.list_duplicates(max_distance=0.5)]
        assert [(pair.person_id_a, pair.person_id_b) for pair in pairs] == [("ann", "ann again")]
        await collections.update_collection(CollectionSettings(duplicate_policy="refuse"))
        await client.delete_person("ann again")
        assert await reason_of(client.enroll("eve", face(0, moved=0.3))) is Reason.FACE_DUPLICATE


@pytest.mark.parametrize(("source", "target"), [(True, False), (False, True), (False, False)])
async def test_who_is_merged_with_a_suspended_person_is_suspended_and_the_audit_says_so(
    matcher: RunningMatcher, source: bool, target: bool
) -> None:
    async with (
        AsyncMatcherClient(matcher.address) as client,
        AsyncCollectionClient(matcher.address) as collections,
    ):
        await client.enroll("source", face(0))
        await client.enroll("target", face(1))
        for person, state in (("source", source), ("target", target)):
            await client.update_person(person, suspended=state)
        merged = await client.merge_persons("source", "target")
        assert merged.person.suspended == (source or target)
        events = [event async for event in collections.list_audit_events(kind="changes")]
        details = next(event.details for event in events if event.action == "MERGE_PERSONS")
        assert ("changed" in details) == (source and not target)
        assert details.get("suspended", "true") == "true"
        back = await client.move_faces(merged.moved_face_ids, "source")
        assert (back.person_created, back.person.suspended) == (True, source or target)
        await client.update_person("source", suspended=False)
        again = await client.move_faces(merged.moved_face_ids, "target")
        assert again.person.suspended == (source or target)
        updates = [event.details for event in events if event.action == "UPDATE_PERSON"]
        states = sorted(each["suspended"] for each in updates if "suspended" in each)
        assert states == ["true"] * (source + target)


async def test_exports_and_imports_carry_who_is_suspended(matcher: RunningMatcher) -> None:
    async with (
        AsyncMatcherClient(matcher.address) as client,
        AsyncCollectionClient(matcher.address) as collections,
    ):
        for number, person in enumerate(("ann", "bob", "cid")):
            await client.enroll(person, face(number), face(number, moved=0.1))
        await client.update_person("bob", suspended=True)
        [batch] = [batch async for batch in client.export_faces()]
        assert batch.suspended == (None, None, True, None, None, None)
        await collections.create_collection("copy")
        await client.import_faces(only(batch), import_id="one", space=SPACE, collection_id="copy")
        assert await suspended(client, collection_id="copy") == ["bob"]
        states = FaceBatch(batch.encodings[:3], ["ann", "bob", "bob"], suspended=[True, None, False])
        for number in range(2):  # the faces are there already; the second changes nothing
            await client.import_faces(
                only(states), import_id=f"two {number}", space=SPACE, collection_id="copy"
            )
            assert await suspended(client, collection_id="copy") == ["ann"]
        events = [each async for each in collections.list_audit_events(collection_id="copy", kind="changes")]
        changes = [
            (event.details.get("persons_suspended"), event.details.get("persons_resumed"))
            for event in reversed(events)
            if event.action == "IMPORT"
        ]
        assert changes == [("1", None), ("1", "1"), (None, None)]


async def test_suspended_people_are_measured_in_no_rate_and_make_faces_inconsistent(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await load(administrator, Dataset(24, photos=2, even=True, seed=5).all())
    person = partition_name("person", "default")
    await administrator.execute(f'UPDATE facerec.{person} SET labels = \'{{"site": "a"}}\'')
    await administrator.execute(
        f"UPDATE facerec.{person} SET suspended = true WHERE person_id IN ('p0', 'p1', 'p2')"
    )
    request = calibration_pb2.CalibrateRequest(target_fmr=0.1, photos=1, group_label="site")
    found = (await matcher.collections.Calibrate(request)).calibration
    assert (found.genuine_persons, found.impostor_persons) == (21, 21)
    assert {each.persons for each in found.scores} == {21}
    assert [(each.value, each.persons, each.genuine_persons) for each in found.groups] == [("a", 21, 21)]
    far, near = (np.full(128, value, np.float32) for value in (1, 2))
    async with AsyncMatcherClient(matcher.address) as client:
        await client.enroll("ann", Encoding(near, SPACE))
        await client.update_person("ann", suspended=True)
        await client.enroll("bob", Encoding(far, SPACE))
        (wrong,) = (await client.enroll("bob", Encoding(near + 0.01, SPACE))).faces
        assert wrong.inconsistency is not None
        assert wrong.inconsistency.person_id == "ann"
    listed = await matcher.collections.ListInconsistentFaces(
        review_pb2.ListInconsistentFacesRequest(person_id="bob")
    )
    assert [(each.face_id, each.other_person_id) for each in listed.faces] == [(wrong.face.face_id, "ann")]
