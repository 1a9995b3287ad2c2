"""A person as a probe is all of their faces: the nearest pair decides, and the answer names it."""

from typing import Any

import numpy as np
import pytest

from facerec.client import AsyncMatcherClient, Encoding, NewFace, StoredPerson
from facerec.errors import FacerecError, Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.identification.person_probes import MAX_PERSON_FACES
from tests.e2e.matcher.requests import SPACE, Vector, encoding, enroll, refused, vectors
from tests.fixtures.matcher import RunningMatcher

PEOPLE = ("ann", "bob", "cid", "dee")
FACES = 4
BASES = 0.5 * vectors(len(PEOPLE))
VECTORS: dict[str, Vector] = {
    person: (BASES[number] + 0.3 * vectors(FACES, seed=number)).astype(np.float32)
    for number, person in enumerate(PEOPLE)
}
WIDE = 1.5


async def enroll_all(client: AsyncMatcherClient) -> dict[str, list[str]]:
    """Enroll everybody; the ids of each person's faces in the order of VECTORS."""
    found = {}
    for person, faces in VECTORS.items():
        enrolled = await client.enroll(person, *(NewFace(Encoding(face, SPACE)) for face in faces))
        found[person] = [each.face.face_id for each in enrolled.faces]
    return found


def nearest(a: Vector, b: Vector) -> tuple[float, int, int]:
    """The distance of the nearest pair of two sets of vectors, and the rows of both."""
    distances = np.linalg.norm(a[:, None].astype(float) - b.astype(float), axis=2)
    row, column = np.unravel_index(distances.argmin(), distances.shape)
    return float(distances[row, column]), int(row), int(column)


async def refusal(call: Any) -> tuple[Reason, str]:
    with pytest.raises(FacerecError) as caught:
        await call
    return caught.value.reason, caught.value.field


async def test_a_search_by_a_person_answers_who_else_is_like_them_by_which_two_faces(
    matcher: RunningMatcher,
) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        ids = await enroll_all(client)
        answer = await client.identify(
            StoredPerson("ann"),
            Encoding(VECTORS["bob"][0], SPACE),
            StoredPerson("dee"),
            max_distance=WIDE,
            max_candidates=2,
            include_attributes=True,
        )
        assert [face.probe_index for face in answer.faces] == [0, 1, 2]
        for face, person in ((answer.faces[0], "ann"), (answer.faces[2], "dee")):
            pairs = {other: nearest(VECTORS[person], VECTORS[other]) for other in PEOPLE if other != person}
            ranked = sorted(pairs, key=lambda other: pairs[other])
            assert [each.person_id for each in face.candidates] == ranked[:2]
            assert (face.matched_persons, face.exact, face.mode) == (3, True, "exact")
            for each in face.candidates:
                distance, row, column = pairs[each.person_id]
                assert each.distance == pytest.approx(distance, rel=1e-6)
                expected = (ids[person][row], ids[each.person_id][column])
                assert (each.probe_face_id, each.face_id) == expected
        assert answer.faces[1].candidates[0].probe_face_id == ""
        among = await client.identify(StoredPerson("ann"), max_distance=WIDE, person_ids=["ann", "cid"])
        assert [each.person_id for each in among.faces[0].candidates] == ["cid"]
        alone = await client.identify(StoredPerson("ann"), max_distance=WIDE, person_ids=["ann"])
        assert alone.faces[0].candidates == ()


async def test_comparing_persons_measures_their_nearest_faces(matcher: RunningMatcher) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        ids = await enroll_all(client)
        both = await client.compare(StoredPerson("ann"), StoredPerson("bob"), max_distance=WIDE)
        distance, row, column = nearest(VECTORS["ann"], VECTORS["bob"])
        assert both.distance == pytest.approx(distance, rel=1e-6)
        assert (both.match, both.face_id_a, both.face_id_b) == (True, ids["ann"][row], ids["bob"][column])
        assert not (await client.compare(StoredPerson("ann"), StoredPerson("bob"), max_distance=0.1)).match
        same = await client.compare(StoredPerson("ann"), StoredPerson("ann"))
        assert (same.distance, same.face_id_a) == (0.0, same.face_id_b)
        face = VECTORS["cid"][1:2]
        distance, _, column = nearest(face, VECTORS["ann"])
        for other in (Encoding(face[0], SPACE), ids["cid"][1]):
            mixed = await client.compare(other, StoredPerson("ann"))
            assert mixed.distance == pytest.approx(distance, rel=1e-6)
            assert (mixed.face_id_a, mixed.face_id_b) == ("", ids["ann"][column])
            turned = await client.compare(StoredPerson("ann"), other)
            assert (turned.distance, turned.face_id_a) == (mixed.distance, mixed.face_id_b)


async def test_a_person_who_cannot_be_a_probe_is_refused_by_name(matcher: RunningMatcher) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        await client.enroll("ann", Encoding(VECTORS["ann"][0], SPACE))
        many = vectors(MAX_PERSON_FACES + 1, seed=9)
        for part in (many[:1], many[1:]):
            await client.enroll("many", *(Encoding(vector, SPACE) for vector in part))
        bare = await client.enroll("bare", Encoding(VECTORS["bob"][0], SPACE))
        await client.delete_face(bare.faces[0].face.face_id)
        for person, reason in (
            ("nobody", Reason.PERSON_NOT_FOUND),
            ("bare", Reason.FACE_NOT_FOUND),
            ("many", Reason.OPTION_INVALID),
            ("", Reason.ID_INVALID),
        ):
            probe = StoredPerson(person)
            assert await refusal(client.identify(StoredPerson("ann"), probe)) == (
                reason,
                "probes[1].person_id",
            )
            assert await refusal(client.compare(probe, StoredPerson("ann"))) == (reason, "probe_a.person_id")
        other_space = Encoding(VECTORS["ann"][0], "other")
        assert await refusal(client.compare(StoredPerson("ann"), other_space)) == (
            Reason.MODEL_MISMATCH,
            "probe_b.encoding.space",
        )
        unknown = "01930f5e-6f0c-7d2b-9f4e-0c8f5f3f7b11"
        assert await refusal(client.compare(unknown, StoredPerson("ann"))) == (
            Reason.FACE_NOT_FOUND,
            "probe_a.face_id",
        )
        [face] = [each async for each in client.list_faces("many", page_size=100)][:1]
        await client.delete_face(face.face_id)
        assert len((await client.identify(StoredPerson("many"))).faces) == 1


async def test_a_person_is_no_probe_of_verify_and_enroll_which_say_what_to_send(
    matcher: RunningMatcher,
) -> None:
    held = pb.Probe(person_id="ann")
    await matcher.stub.Enroll(enroll("ann", encoding(VECTORS["ann"][0])))
    with refused(Reason.OPTION_INVALID, "probe.person_id", "face_id"):
        await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=held))
    with refused(Reason.OPTION_INVALID, "items[0].probe.person_id", "face_id"):
        await matcher.stub.Enroll(enroll("bob", held))


async def test_a_suspended_person_may_be_a_probe_and_is_nobodys_candidate(matcher: RunningMatcher) -> None:
    async with AsyncMatcherClient(matcher.address) as client:
        await enroll_all(client)
        await client.update_person("ann", suspended=True)
        found = await client.identify(StoredPerson("ann"), StoredPerson("bob"), max_distance=4)
        names = [sorted(each.person_id for each in face.candidates) for face in found.faces]
        assert names == [["bob", "cid", "dee"], ["cid", "dee"]]
        assert (await client.compare(StoredPerson("ann"), StoredPerson("ann"))).match
