"""Collections as tenants: no call sees another's people, and erasing one affects no other."""

import asyncio

import grpc.aio

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.catalog import NEW, create, delete, get, merged
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher
from tests.fixtures.waiting import LIMIT_SECONDS, until

FIRST, SECOND = vectors(2)


async def test_no_data_of_one_collection_is_visible_in_another(matcher: RunningMatcher) -> None:
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


async def test_deleting_a_missing_collection_counts_0_and_an_empty_id_is_refused(
    matcher: RunningMatcher,
) -> None:
    assert await delete(matcher, "none") == (0, 0, 0)
    with refused(Reason.ID_INVALID, "collection_id"):
        await delete(matcher, "")
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await matcher.stub.Enroll(enroll("ann", encoding(FIRST), collection_id="none"))


async def test_deleting_default_leaves_it_empty_with_default_settings(
    pair: tuple[RunningMatcher, RunningMatcher],
) -> None:
    one, other = pair
    other_settings = merged(NEW, pb.CollectionSettings(display_name="Staff", verify_threshold=0.25))
    await one.collections.UpdateCollection(pb.UpdateCollectionRequest(settings=other_settings))
    enrollment = enroll("ann", encoding(FIRST), encoding(SECOND), request_id="r1")
    first = await one.stub.Enroll(enrollment)
    await other.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))
    assert await delete(one, "default") == (1, 1, 2)
    assert (await get(other, "default")).settings == NEW
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await other.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))
    again = await other.stub.Enroll(enrollment)
    assert again.person_created, "the request id went with the collection"
    assert again.faces[0].face.face_id != first.faces[0].face.face_id
    assert await delete(other, "default") == (1, 1, 2)


async def test_a_collection_created_again_works_with_statements_prepared_for_the_old_one(
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


async def test_erasing_a_tenant_under_load_affects_no_other(
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
                enroll(f"k{number}", encoding(vectors(1, seed=number)[0]), collection_id="kept"),
                timeout=LIMIT_SECONDS,
            )
            stored.add(answer.faces[0].face.face_id)

    async def losing(start: int) -> None:
        for number in range(start, 10_000, 3):
            if not busy:
                return
            probe = encoding(vectors(1, seed=number)[0])
            claim = pb.VerifyRequest(collection_id="gone", person_id=f"p{number}", probe=probe)
            try:
                await other.stub.Enroll(
                    enroll(f"p{number}", probe, collection_id="gone"), timeout=LIMIT_SECONDS
                )
                await one.stub.Verify(claim, timeout=LIMIT_SECONDS)
            except grpc.aio.AioRpcError as error:
                reason = from_rpc_error(error, "").reason
                assert reason in {Reason.COLLECTION_NOT_FOUND, Reason.OVERLOADED, Reason.PERSON_NOT_FOUND}

    tasks = [asyncio.create_task(work) for work in (keeping(), losing(0), losing(1), losing(2))]
    for _ in range(6):
        await create(one, "gone")
        before = len(stored)
        await until(lambda: len(stored) > before + 2)  # noqa: B023 - it is awaited here
        for _ in range(100):
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
