"""People and faces over real gRPC and a real Postgres."""

import unicodedata
import uuid

import numpy as np

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.matcher.requests import SPACE, encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher


async def test_an_enrolled_face_is_verified_and_identified(matcher: RunningMatcher) -> None:
    near, far = vectors(2)
    enrolled = await matcher.stub.Enroll(
        enroll("ann", encoding(near, fingerprint="cpu"), display_name="Ann"), timeout=5
    )
    assert enrolled.person_created
    assert (enrolled.person.person_id, enrolled.person.display_name) == ("ann", "Ann")
    assert enrolled.person.face_count == 1
    face = enrolled.faces[0].face
    assert (face.person_id, face.space, face.fingerprint) == ("ann", SPACE, "cpu")

    verified = await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(near)))
    assert (verified.match, verified.distance, verified.threshold) == (True, 0.0, 0.6)
    assert (verified.nearest_face_id, verified.faces_compared, verified.space) == (face.face_id, 1, SPACE)
    verified = await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(far)))
    assert not verified.match
    assert np.isclose(verified.distance, np.linalg.norm(near.astype(float) - far), rtol=1e-6)

    found = await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(near), encoding(far)]))
    assert [len(answer.candidates) for answer in found.faces] == [1, 0]
    assert [answer.probe_index for answer in found.faces] == [0, 1]
    assert all(answer.exact and answer.mode == pb.SEARCH_MODE_EXACT for answer in found.faces)
    assert [answer.faces_searched for answer in found.faces] == [1, 1]
    candidate = found.faces[0].candidates[0]
    assert (candidate.person_id, candidate.display_name, candidate.face_id) == ("ann", "Ann", face.face_id)
    assert (found.threshold, found.space) == (0.5, SPACE)


async def test_a_match_is_a_distance_up_to_and_including_the_threshold(matcher: RunningMatcher) -> None:
    stored = np.zeros(128, np.float32)
    probe = stored.copy()
    probe[0] = 0.75
    await matcher.stub.Enroll(enroll("ann", encoding(stored)))
    for max_distance, match in ((0.75, True), (np.nextafter(0.75, 0), False), (0.0, False), (4.0, True)):
        claim = pb.VerifyRequest(person_id="ann", probe=encoding(probe), max_distance=max_distance)
        assert (await matcher.stub.Verify(claim)).match is match
        search = pb.IdentifyRequest(probes=[encoding(probe)], max_distance=max_distance)
        assert bool((await matcher.stub.Identify(search)).faces[0].candidates) is match
        pair = pb.CompareRequest(probe_a=encoding(stored), probe_b=encoding(probe), max_distance=max_distance)
        assert (await matcher.stub.Compare(pair)).match is match


async def test_the_same_encoding_is_stored_once_per_person(matcher: RunningMatcher) -> None:
    first, second = vectors(2)
    once = await matcher.stub.Enroll(enroll("ann", encoding(first), encoding(first), encoding(second)))
    assert [face.already_enrolled for face in once.faces] == [False, True, False]
    assert once.faces[0].face.face_id == once.faces[1].face.face_id
    assert once.person.face_count == 2
    again = await matcher.stub.Enroll(enroll("ann", encoding(second), encoding(first)))
    assert [face.already_enrolled for face in again.faces] == [True, True]
    assert [face.face for face in again.faces] == [once.faces[2].face, once.faces[0].face]
    assert again.person == once.person
    assert not again.person_created
    other = await matcher.stub.Enroll(enroll("ben", encoding(first)))
    assert not other.faces[0].already_enrolled


async def test_a_stored_face_serves_as_a_probe_everywhere(matcher: RunningMatcher) -> None:
    vector, other = vectors(2)
    stored = await matcher.stub.Enroll(enroll("ann", encoding(vector), encoding(other)))
    first, second = (pb.Probe(face_id=face.face.face_id) for face in stored.faces)
    expected = np.linalg.norm(vector.astype(float) - other)
    compared = await matcher.stub.Compare(pb.CompareRequest(probe_a=first, probe_b=second))
    assert np.isclose(compared.distance, expected, rtol=1e-6)
    mixed = await matcher.stub.Compare(pb.CompareRequest(probe_a=first, probe_b=encoding(other)))
    assert mixed.distance == compared.distance
    copied = await matcher.stub.Enroll(enroll("ben", first))
    assert copied.faces[0].face.face_id != first.face_id
    again = await matcher.stub.Enroll(enroll("ben", first, encoding(vector)))
    assert [face.already_enrolled for face in again.faces] == [True, True]
    claim = pb.VerifyRequest(person_id="ben", probe=first)
    assert (await matcher.stub.Verify(claim)).nearest_face_id == copied.faces[0].face.face_id
    found = await matcher.stub.Identify(pb.IdentifyRequest(probes=[first]))
    assert {candidate.person_id for candidate in found.faces[0].candidates} == {"ann", "ben"}


async def test_a_missing_face_is_refused_as_a_probe(matcher: RunningMatcher) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    gone = pb.Probe(face_id=str(uuid.uuid4()))
    with refused(Reason.FACE_NOT_FOUND, "probe.face_id"):
        await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=gone))
    with refused(Reason.FACE_NOT_FOUND, "probes[1].face_id"):
        await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(vectors(1)[0]), gone]))
    with refused(Reason.FACE_NOT_FOUND, "probe_b.face_id"):
        await matcher.stub.Compare(pb.CompareRequest(probe_a=encoding(vectors(1)[0]), probe_b=gone))
    with refused(Reason.FACE_NOT_FOUND, "items[1].probe.face_id"):
        await matcher.stub.Enroll(enroll("cat", encoding(vectors(1)[0]), gone))
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="cat"))


async def test_erasing_a_person_leaves_a_receipt_and_nothing_else(matcher: RunningMatcher) -> None:
    kept, *erased = vectors(4)
    await matcher.stub.Enroll(enroll("ann", *map(encoding, erased)))
    await matcher.stub.Enroll(enroll("ben", encoding(kept)))
    receipt = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
    assert (receipt.persons_deleted, receipt.faces_deleted) == (1, 3)
    receipt = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
    assert (receipt.persons_deleted, receipt.faces_deleted) == (0, 0)
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(erased[0])))
    found = await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(erased[0])]))
    assert (found.faces[0].faces_searched, len(found.faces[0].candidates)) == (1, 0)


async def test_a_person_whose_last_face_was_deleted_has_none_to_compare_with(matcher: RunningMatcher) -> None:
    vector = vectors(1)[0]
    face = (await matcher.stub.Enroll(enroll("ann", encoding(vector)))).faces[0].face
    before = (await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))).person
    request = pb.DeleteFaceRequest(face_id=face.face_id.upper())
    assert (await matcher.stub.DeleteFace(request)).faces_deleted == 1
    assert (await matcher.stub.DeleteFace(request)).faces_deleted == 0
    after = (await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ann"))).person
    assert after.face_count == 0
    assert after.update_time.ToNanoseconds() > before.update_time.ToNanoseconds()
    with refused(Reason.FACE_NOT_FOUND, "person_id"):
        await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=encoding(vector)))


async def test_people_are_listed_by_code_points_page_by_page(matcher: RunningMatcher) -> None:
    names = ["b", "A", "a", "é", "zz", "Z", "名", "\U0001f600", "\uffee", "a b", "10", "9"]
    for name, vector in zip(names, vectors(len(names)), strict=True):
        await matcher.stub.Enroll(enroll(name, encoding(vector)))
    listed, token = [], ""
    for _ in range(len(names)):
        page = await matcher.stub.ListPersons(pb.ListPersonsRequest(page_size=5, page_token=token))
        listed += [person.person_id for person in page.persons]
        token = page.next_page_token
        if not token:
            break
    assert listed == sorted(names)
    whole = await matcher.stub.ListPersons(pb.ListPersonsRequest(page_size=len(names)))
    assert not whole.next_page_token
    assert await matcher.stub.ListPersons(pb.ListPersonsRequest(page_size=2**32 - 1)) == whole
    assert all(person.face_count == 1 for person in whole.persons)


async def test_people_with_a_common_prefix_are_listed_page_by_page(matcher: RunningMatcher) -> None:
    names = ["a", "an", "ann", "ann\U0010ffff", "ann b", "anna", "anz", "Ann", "b", "éa", "éb", "%", "_"]
    for name, vector in zip(names, vectors(len(names)), strict=True):
        await matcher.stub.Enroll(enroll(name, encoding(vector)))
    for prefix in ("", "a", "ann", "ann ", "e\u0301", "%", "_", "z", "a" * 128):
        listed, token = [], ""
        for _ in names:
            request = pb.ListPersonsRequest(page_size=2, page_token=token, person_id_prefix=prefix)
            page = await matcher.stub.ListPersons(request)
            listed += [person.person_id for person in page.persons]
            if not (token := page.next_page_token):
                break
        composed = unicodedata.normalize("NFC", prefix)
        assert listed == sorted(name for name in names if name.startswith(composed))
    for prefix in ("a\0", "a" * 129):
        with refused(Reason.ID_INVALID, "person_id_prefix"):
            await matcher.stub.ListPersons(pb.ListPersonsRequest(person_id_prefix=prefix))


async def test_faces_are_listed_in_the_order_they_were_enrolled(matcher: RunningMatcher) -> None:
    items = [
        pb.EnrollItem(probe=encoding(vector), external_ref=str(i)) for i, vector in enumerate(vectors(7))
    ]
    await matcher.stub.Enroll(pb.EnrollRequest(person_id="ann", items=items[:5]))
    await matcher.stub.Enroll(pb.EnrollRequest(person_id="ann", items=items[5:]))
    listed, token = [], ""
    for _ in items:
        request = pb.ListFacesRequest(person_id="ann", page_size=2, page_token=token)
        page = await matcher.stub.ListFaces(request)
        listed += [face.external_ref for face in page.faces]
        token = page.next_page_token
        if not token:
            break
    assert listed == [str(i) for i in range(7)]


async def test_a_page_token_is_valid_for_its_list_only(matcher: RunningMatcher) -> None:
    for person in ("ann", "ben"):
        await matcher.stub.Enroll(enroll(person, *map(encoding, vectors(2))))
    persons = await matcher.stub.ListPersons(pb.ListPersonsRequest(page_size=1))
    faces = await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="ann", page_size=1))
    for token in (faces.next_page_token, "nonsense", "=", "é", persons.next_page_token + "!"):
        with refused(Reason.OPTION_INVALID, "page_token"):
            await matcher.stub.ListPersons(pb.ListPersonsRequest(page_token=token))
    for token in (persons.next_page_token, faces.next_page_token[:-3]):
        with refused(Reason.OPTION_INVALID, "page_token"):
            await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="ann", page_token=token))
    with refused(Reason.OPTION_INVALID, "page_token"):
        await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="ben", page_token=faces.next_page_token))


async def test_a_display_name_is_changed_by_update_and_by_enroll(matcher: RunningMatcher) -> None:
    vector = vectors(1)[0]
    await matcher.stub.Enroll(enroll("ann", encoding(vector), display_name="Ann"))
    request = pb.UpdatePersonRequest(person_id="ann", display_name="Anna")
    assert (await matcher.stub.UpdatePerson(request)).person.display_name == "Anna"
    assert (await matcher.stub.Enroll(enroll("ann", encoding(vector)))).person.display_name == "Anna"
    renamed = await matcher.stub.Enroll(enroll("ann", encoding(vector), display_name=""))
    assert (renamed.person.display_name, renamed.person.face_count) == ("", 1)
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.UpdatePerson(pb.UpdatePersonRequest(person_id="ben", display_name="Ben"))


async def test_a_person_is_answered_once_with_their_nearest_face(matcher: RunningMatcher) -> None:
    base = vectors(1)[0]
    steps = {"ann": (0.3, 0.1), "ben": (0.2, 0.25), "cat": (0.05,), "dan": (0.9,)}
    for name, offsets in steps.items():
        probes = []
        for index, offset in enumerate(offsets):
            moved = base.copy()
            moved[index] += offset
            probes.append(encoding(moved))
        await matcher.stub.Enroll(enroll(name, *probes))
    found = (await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(base)]))).faces[0]
    assert [candidate.person_id for candidate in found.candidates] == ["cat", "ann", "ben"]
    assert found.faces_searched == 6
    two = await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(base)], max_candidates=2))
    assert list(two.faces[0].candidates) == list(found.candidates)[:2]
