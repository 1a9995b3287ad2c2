"""Collections as tenants: each its own settings and people, on every replica at once."""

import asyncio
from typing import Any

import grpc.aio
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.requests import SPACE, encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher, StartMatcher

FIRST, SECOND = vectors(2)
YEAR = Duration(seconds=366 * 86400)
NEW = pb.CollectionSettings(
    display_name="",
    verify_threshold=0.6,
    identify_threshold=0.5,
    duplicate_policy=pb.DUPLICATE_POLICY_FLAG,
    duplicate_threshold=0.5,
    quality=pb.QualityPolicy(min_face_pixels=0),
    search=pb.SearchPolicy(
        exact_only=False, index_above_faces=20000, trust_distance=0.45, target_recall=0.995
    ),
    retention=Duration(),
)
CHANGES = [
    pb.CollectionSettings(display_name="Staff"),
    pb.CollectionSettings(verify_threshold=0.0),
    pb.CollectionSettings(identify_threshold=4.0),
    pb.CollectionSettings(duplicate_policy=pb.DUPLICATE_POLICY_ALLOW),
    pb.CollectionSettings(duplicate_policy=pb.DUPLICATE_POLICY_REFUSE),
    pb.CollectionSettings(duplicate_threshold=0.25),
    pb.CollectionSettings(quality=pb.QualityPolicy(min_face_pixels=65535)),
    pb.CollectionSettings(search=pb.SearchPolicy(exact_only=True)),
    pb.CollectionSettings(search=pb.SearchPolicy(index_above_faces=1000)),
    pb.CollectionSettings(search=pb.SearchPolicy(trust_distance=0.0)),
    pb.CollectionSettings(search=pb.SearchPolicy(target_recall=0.5)),
    pb.CollectionSettings(retention=YEAR),
]


@pytest.fixture
async def pair(start_matcher: StartMatcher, database_url: str) -> tuple[RunningMatcher, RunningMatcher]:
    """Two replicas over one database."""
    return await start_matcher(database_url), await start_matcher(database_url)


async def create(matcher: RunningMatcher, collection_id: str, **fields: Any) -> pb.Collection:
    request = pb.CreateCollectionRequest(collection_id=collection_id, **fields)
    return (await matcher.collections.CreateCollection(request)).collection


async def delete(matcher: RunningMatcher, collection_id: str) -> tuple[int, int, int]:
    request = pb.DeleteCollectionRequest(collection_id=collection_id)
    receipt = await matcher.collections.DeleteCollection(request)
    return receipt.collections_deleted, receipt.persons_deleted, receipt.faces_deleted


async def get(matcher: RunningMatcher, collection_id: str) -> pb.Collection:
    request = pb.GetCollectionRequest(collection_id=collection_id)
    return (await matcher.collections.GetCollection(request)).collection


async def test_a_new_collection_has_the_defaults_the_contract_states(matcher: RunningMatcher) -> None:
    made = await create(matcher, "a")
    assert (made.settings, made.space) == (NEW, SPACE)
    assert (made.index, made.estimated_faces) == (pb.SearchIndex(), 0)
    assert await get(matcher, "a") == made
    assert (await get(matcher, "")).settings == NEW
    with refused(Reason.COLLECTION_EXISTS, "collection_id"):
        await create(matcher, "a", settings=pb.CollectionSettings(display_name="other"))
    assert await get(matcher, "a") == made
    with refused(Reason.COLLECTION_EXISTS, "collection_id"):
        await create(matcher, "default")


async def test_every_setting_round_trips_alone_and_together(
    pair: tuple[RunningMatcher, RunningMatcher],
) -> None:
    one, other = pair
    await create(one, "step")
    expected = pb.CollectionSettings()
    expected.CopyFrom(NEW)
    for number, change in enumerate(CHANGES):
        assert (await create(one, f"alone{number}", settings=change)).settings == merged(NEW, change)
        expected = merged(expected, change)
        request = pb.UpdateCollectionRequest(collection_id="step", settings=change)
        updated = (await pair[number % 2].collections.UpdateCollection(request)).collection
        assert updated.settings == expected
        assert await get(other, "step") == updated
    for_ever = pb.UpdateCollectionRequest(
        collection_id="step", settings=pb.CollectionSettings(retention=Duration())
    )
    assert (await one.collections.UpdateCollection(for_ever)).collection.settings.retention == Duration()
    with refused(Reason.OPTION_INVALID, "settings"):
        await one.collections.UpdateCollection(pb.UpdateCollectionRequest(collection_id="step"))
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await one.collections.UpdateCollection(
            pb.UpdateCollectionRequest(collection_id="none", settings=CHANGES[0])
        )


def merged(before: pb.CollectionSettings, change: pb.CollectionSettings) -> pb.CollectionSettings:
    after = pb.CollectionSettings()
    after.CopyFrom(before)
    after.MergeFrom(change)
    return after


@pytest.mark.parametrize("retention", [Duration(seconds=-1), Duration(nanos=1), Duration(seconds=10**11)])
async def test_a_retention_that_is_none_is_refused(matcher: RunningMatcher, retention: Duration) -> None:
    with refused(Reason.OPTION_INVALID, "settings.retention"):
        await create(matcher, "a", settings=pb.CollectionSettings(retention=retention))
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await get(matcher, "a")


async def test_thresholds_and_policies_decide_at_the_very_next_call_on_another_replica(
    pair: tuple[RunningMatcher, RunningMatcher],
) -> None:
    stored, probe = np.zeros(128, np.float32), np.zeros(128, np.float32)
    probe[0] = 0.5
    await create(pair[0], "a")
    await pair[0].stub.Enroll(enroll("ann", encoding(stored), collection_id="a"))
    claim = pb.VerifyRequest(collection_id="a", person_id="ann", probe=encoding(probe))
    search = pb.IdentifyRequest(collection_id="a", probes=[encoding(probe)])
    both = pb.CompareRequest(collection_id="a", probe_a=encoding(stored), probe_b=encoding(probe))
    for number in range(60):
        change, ask = pair[number % 2], pair[(number + 1) % 2].stub
        near = bool(number % 3)
        settings = pb.CollectionSettings(
            verify_threshold=0.5 if near else 0.499,
            identify_threshold=0.499 if near else 0.5,
            duplicate_threshold=0.5 if near else 0.499,
            duplicate_policy=pb.DUPLICATE_POLICY_REFUSE,
        )
        await change.collections.UpdateCollection(
            pb.UpdateCollectionRequest(collection_id="a", settings=settings)
        )
        assert (await ask.Verify(claim)).match is near
        assert (await ask.Compare(both)).match is near
        assert bool((await ask.Identify(search)).faces[0].candidates) is not near
        copy = enroll("ben", encoding(probe), collection_id="a")
        if near:
            with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
                await ask.Enroll(copy)
        else:
            await ask.Enroll(copy)
            await ask.DeletePerson(pb.DeletePersonRequest(collection_id="a", person_id="ben"))


async def test_nothing_of_one_collection_is_seen_from_another(matcher: RunningMatcher) -> None:
    for name in ("a", "b"):
        await create(matcher, name)
    stub = matcher.stub
    mine = await stub.Enroll(
        enroll("ann", encoding(FIRST), encoding(SECOND), collection_id="a", request_id="r1")
    )
    theirs = pb.Probe(face_id=mine.faces[0].face.face_id)
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await stub.Verify(pb.VerifyRequest(collection_id="b", person_id="ann", probe=encoding(FIRST)))
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await stub.GetPerson(pb.GetPersonRequest(collection_id="b", person_id="ann"))
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await stub.ListFaces(pb.ListFacesRequest(collection_id="b", person_id="ann"))
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await stub.UpdatePerson(
            pb.UpdatePersonRequest(collection_id="b", person_id="ann", display_name="Not Ann")
        )
    assert not (await stub.ListPersons(pb.ListPersonsRequest(collection_id="b"))).persons
    found = await stub.Identify(
        pb.IdentifyRequest(collection_id="b", probes=[encoding(FIRST)], max_distance=4)
    )
    assert (list(found.faces[0].candidates), found.faces[0].faces_searched) == ([], 0)

    # The same person, photo and request id in another collection are new there.
    other = await stub.Enroll(enroll("ann", encoding(SECOND), collection_id="b", request_id="r1"))
    assert other.person_created
    assert not other.faces[0].already_enrolled
    assert not other.faces[0].HasField("duplicate")
    assert other.faces[0].face.face_id not in {face.face.face_id for face in mine.faces}
    await stub.Enroll(enroll("ben", encoding(SECOND), collection_id="b"))

    with refused(Reason.FACE_NOT_FOUND, "probe.face_id"):
        await stub.Verify(pb.VerifyRequest(collection_id="b", person_id="ann", probe=theirs))
    with refused(Reason.FACE_NOT_FOUND, "probes[0].face_id"):
        await stub.Identify(pb.IdentifyRequest(collection_id="b", probes=[theirs]))
    with refused(Reason.FACE_NOT_FOUND, "probe_b.face_id"):
        await stub.Compare(pb.CompareRequest(collection_id="b", probe_a=encoding(FIRST), probe_b=theirs))
    with refused(Reason.FACE_NOT_FOUND, "items[0].probe.face_id"):
        await stub.Enroll(enroll("cat", theirs, collection_id="b"))
    with refused(Reason.PERSON_NOT_FOUND, "target_person_id"):
        await stub.MergePersons(
            pb.MergePersonsRequest(collection_id="a", source_person_id="ann", target_person_id="ben")
        )
    gone = await stub.DeleteFace(pb.DeleteFaceRequest(collection_id="b", face_id=theirs.face_id))
    assert gone.faces_deleted == 0
    people = await stub.ListPersons(pb.ListPersonsRequest(collection_id="b", page_size=1))
    with refused(Reason.OPTION_INVALID, "page_token"):
        await stub.ListPersons(pb.ListPersonsRequest(collection_id="a", page_token=people.next_page_token))
    page = await stub.ListFaces(pb.ListFacesRequest(collection_id="a", person_id="ann", page_size=1))
    with refused(Reason.OPTION_INVALID, "page_token"):
        await stub.ListFaces(
            pb.ListFacesRequest(collection_id="b", person_id="ann", page_token=page.next_page_token)
        )
    erased = await stub.DeletePerson(pb.DeletePersonRequest(collection_id="b", person_id="ann"))
    assert (erased.persons_deleted, erased.faces_deleted) == (1, 1)
    left = await stub.GetPerson(pb.GetPersonRequest(collection_id="a", person_id="ann"))
    assert left.person == mine.person
    assert await delete(matcher, "b") == (1, 1, 1)
    claim = pb.VerifyRequest(collection_id="a", person_id="ann", probe=theirs)
    assert (await stub.Verify(claim)).faces_compared == 2


async def test_deleting_none_counts_none_and_an_unnamed_one_is_refused(matcher: RunningMatcher) -> None:
    assert await delete(matcher, "none") == (0, 0, 0)
    with refused(Reason.ID_INVALID, "collection_id"):
        await delete(matcher, "")
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await matcher.stub.Enroll(enroll("ann", encoding(FIRST), collection_id="none"))


async def test_default_is_left_empty_and_as_new(pair: tuple[RunningMatcher, RunningMatcher]) -> None:
    one, other = pair
    everything = merged(pb.CollectionSettings(), NEW)
    for change in CHANGES[:3]:
        everything = merged(everything, change)
    await one.collections.UpdateCollection(pb.UpdateCollectionRequest(settings=everything))
    enrolment = enroll("ann", encoding(FIRST), encoding(SECOND), request_id="r1")
    first = await one.stub.Enroll(enrolment)
    await other.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))
    assert await delete(one, "default") == (1, 1, 2)
    assert (await get(other, "default")).settings == NEW
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await other.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))
    again = await other.stub.Enroll(enrolment)
    assert again.person_created, "the request id went with the collection"
    assert again.faces[0].face.face_id != first.faces[0].face.face_id
    assert await delete(other, "default") == (1, 1, 2)


async def test_deleted_and_created_again_it_works_where_statements_were_prepared_for_the_old(
    pair: tuple[RunningMatcher, RunningMatcher],
) -> None:
    one, other = pair
    for life in range(4):
        space = f"space/{life}/x"
        made = await create(pair[life % 2], "a", space=space)
        assert made.space == space
        probe = encoding(FIRST, space=space)
        for matcher in (other, one):
            stub, person = matcher.stub, f"p{id(matcher)}"
            request = enroll(person, probe, collection_id="a", request_id=f"r{id(matcher)}")
            assert (await stub.Enroll(request)).person_created
            face_id = (await stub.Enroll(request)).faces[0].face.face_id
            claim = pb.VerifyRequest(collection_id="a", person_id=person, probe=probe)
            assert (await stub.Verify(claim)).nearest_face_id == face_id
            search = pb.IdentifyRequest(collection_id="a", probes=[probe])
            assert (await stub.Identify(search)).space == space
            listed = await stub.ListFaces(pb.ListFacesRequest(collection_id="a", person_id=person))
            assert [face.face_id for face in listed.faces] == [face_id]
            same = pb.CompareRequest(collection_id="a", probe_a=probe, probe_b=pb.Probe(face_id=face_id))
            assert (await stub.Compare(same)).match
        assert len((await one.stub.ListPersons(pb.ListPersonsRequest(collection_id="a"))).persons) == 2
        assert await delete(pair[(life + 1) % 2], "a") == (1, 2, 2)
        for matcher in pair:
            with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
                await matcher.stub.Verify(claim)


async def test_collections_are_listed_by_id_a_page_at_a_time(matcher: RunningMatcher) -> None:
    names = ["0", "a", "a-b", "a_b", "ab", "z" * 63]
    for name in reversed(names):
        await create(matcher, name)
    listed, token = [], ""
    for _ in range(len(names) + 1):
        request = pb.ListCollectionsRequest(page_size=2, page_token=token)
        page = await matcher.collections.ListCollections(request)
        listed += [collection.collection_id for collection in page.collections]
        token = page.next_page_token
        if not token:
            break
    assert listed == sorted([*names, "default"])
    people = await matcher.collections.ListCollections(pb.ListCollectionsRequest(page_size=1))
    with refused(Reason.OPTION_INVALID, "page_token"):
        await matcher.stub.ListPersons(pb.ListPersonsRequest(page_token=people.next_page_token))
    with refused(Reason.OPTION_INVALID, "page_token"):
        await matcher.collections.ListCollections(pb.ListCollectionsRequest(page_token="bm8"))


async def test_of_many_creators_at_once_one_creates(pair: tuple[RunningMatcher, RunningMatcher]) -> None:
    for attempt in range(5):
        calls = [create(pair[number % 2], f"c{attempt}") for number in range(6)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert {from_rpc_error(error, "").reason for error in failed} == {Reason.COLLECTION_EXISTS}
        assert len(failed) == 5


async def test_a_tenant_erased_under_load_takes_no_other_with_it(
    pair: tuple[RunningMatcher, RunningMatcher],
) -> None:
    """Calls of the erased one end as COLLECTION_NOT_FOUND or OVERLOADED; those of another never fail."""
    one, other = pair
    await create(one, "kept")
    stored: set[str] = set()
    busy = True

    async def keeping() -> None:
        for number in range(10_000):
            if not busy:
                return
            answer = await other.stub.Enroll(
                enroll(f"k{number}", encoding(vectors(1, seed=number)[0]), collection_id="kept"), timeout=5
            )
            stored.add(answer.faces[0].face.face_id)

    async def losing(start: int) -> None:
        for number in range(start, 10_000, 3):
            if not busy:
                return
            probe = encoding(vectors(1, seed=number)[0])
            claim = pb.VerifyRequest(collection_id="gone", person_id=f"p{number}", probe=probe)
            try:
                await other.stub.Enroll(enroll(f"p{number}", probe, collection_id="gone"), timeout=5)
                await one.stub.Verify(claim, timeout=5)
            except grpc.aio.AioRpcError as error:
                reason = from_rpc_error(error, "").reason
                assert reason in {Reason.COLLECTION_NOT_FOUND, Reason.OVERLOADED, Reason.PERSON_NOT_FOUND}

    tasks = [asyncio.create_task(work) for work in (keeping(), losing(0), losing(1), losing(2))]
    for _ in range(6):
        await create(one, "gone")
        await asyncio.sleep(0.15)
        for _ in range(10):
            try:
                await delete(one, "gone")
                break
            except grpc.aio.AioRpcError as error:
                assert from_rpc_error(error, "").reason is Reason.OVERLOADED
    busy = False
    await asyncio.gather(*tasks)
    people = await one.stub.ListPersons(pb.ListPersonsRequest(collection_id="kept", page_size=1000))
    assert len(people.persons) == min(len(stored), 1000)
    assert sum(person.face_count for person in people.persons) == min(len(stored), 1000)
