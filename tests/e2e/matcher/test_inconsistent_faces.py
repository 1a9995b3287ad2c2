"""Faces nearer to somebody else's than to their person's others: what numpy finds, and what corrects them."""

from typing import Any

import asyncpg
import numpy as np
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import review_pb2
from matcher_service.api.converters.reviews import SUGGESTIONS
from matcher_service.duplicates import inconsistent
from matcher_service.duplicates.inconsistent import Suggestion
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.benchmarks import consistency
from tests.benchmarks.corruptions import corrupt, measure
from tests.e2e.matcher.requests import SPACE, refused
from tests.e2e.matcher.test_inconsistent_enrollment import add, at
from tests.fixtures.dataset import load, person_id
from tests.fixtures.matcher import RunningMatcher

ASK = review_pb2.ListInconsistentFacesRequest
DATA = corrupt(250, share=0.03)
NEAREST = measure(DATA.faces, consistency.VERIFY)
Listed = dict[str, review_pb2.InconsistentFace]


async def every_face(matcher: RunningMatcher, **fields: Any) -> Listed:
    """The faces of all pages by id, each of which is there once."""
    found, token, examined = Listed(), "", 0
    for _ in range(2000):
        request = ASK(page_token=token, **fields)
        page = await matcher.collections.ListInconsistentFaces(request)
        assert len(page.faces) <= (request.page_size or 100)
        assert not found.keys() & {face.face_id for face in page.faces}
        found |= {face.face_id: face for face in page.faces}
        examined += page.faces_examined
        token = page.next_page_token
        if not token:
            assert fields.get("person_id") or examined == len(DATA.faces.people)
            return found
    raise AssertionError("the pages don't end")


@pytest.fixture
async def face_ids(administrator: asyncpg.Connection) -> list[str]:
    """The ids of the generated faces, which this loads, in their order."""
    await load(administrator, DATA.faces)
    rows = await administrator.fetch("SELECT face_id, encoding FROM facerec.face")
    places = {vector.tobytes(): place for place, vector in enumerate(DATA.faces.encodings)}
    found = [""] * len(rows)
    for row in rows:
        vector = np.frombuffer(row["encoding"][4:], ">f4").astype(np.float32)
        found[places[vector.tobytes()]] = str(row["face_id"])
    return found


def assert_as_numpy_finds(found: Listed, face_ids: list[str], expected: np.ndarray) -> None:
    """The faces are those, each with its nearest ones, their distances and its suggestion."""
    suggested = consistency.suggestions(NEAREST)
    assert found.keys() == {face_ids[face] for face in np.flatnonzero(expected)}
    for face in np.flatnonzero(expected):
        each = found[face_ids[face]]
        assert each.person_id == person_id(int(DATA.faces.people[face]))
        assert each.other_person_id == person_id(int(NEAREST.other_person[face]))
        assert each.other_face_id == face_ids[NEAREST.other_face[face]]
        assert np.isclose(each.own_distance, NEAREST.own_distance[face], rtol=1e-3)
        assert np.isclose(each.other_distance, NEAREST.other_distance[face], rtol=1e-3)
        own, mine = (DATA.faces.encodings[place] for place in (face_ids.index(each.own_face_id), face))
        assert np.isclose(np.linalg.norm(own.astype(float) - mine), each.own_distance, rtol=1e-5)
        assert SUGGESTIONS.get(suggested[face] or Suggestion.REVIEW) == each.suggestion


async def test_every_inconsistent_face_is_found_once_whatever_the_page(
    matcher: RunningMatcher, face_ids: list[str]
) -> None:
    expected = NEAREST.inconsistent(consistency.DUPLICATE)
    assert 30 < expected.sum() < 200
    everybody = await every_face(matcher, page_size=17)
    assert_as_numpy_finds(everybody, face_ids, expected)
    whose = person_id(int(DATA.faces.people[np.flatnonzero(expected)[0]]))
    alone = await every_face(matcher, person_id=whose, page_size=1)
    assert alone
    assert alone == {key: face for key, face in everybody.items() if face.person_id == whose}
    near = await every_face(matcher, max_distance=0.3)
    assert {key for key, face in everybody.items() if face.other_distance <= 0.3} == near.keys()


async def test_little_is_compared_in_one_statement(
    matcher: RunningMatcher, face_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inconsistent, "STATEMENT_DISTANCES", 10_000)
    found = await every_face(matcher, page_size=1000)
    assert_as_numpy_finds(found, face_ids, NEAREST.inconsistent(consistency.DUPLICATE))


async def test_an_index_finds_nearly_all_and_says_that_it_was_asked(
    matcher: RunningMatcher, face_ids: list[str], administrator: asyncpg.Connection, database_url: str
) -> None:
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    assert await runner.run_once(MaintenanceOptions(database_url))
    page = await matcher.collections.ListInconsistentFaces(ASK())
    assert not page.exact
    found = await every_face(matcher)
    expected = {face_ids[face] for face in np.flatnonzero(NEAREST.inconsistent(consistency.DUPLICATE))}
    assert found.keys() <= expected
    assert len(found) >= 0.98 * len(expected)
    (face,) = await add(matcher, person_id(0), DATA.faces.encodings[-1] * np.float32(0.999))
    assert face.duplicate_check == pb.SEARCH_MODE_INDEX
    assert face.inconsistency.person_id == person_id(int(DATA.faces.people[-1]))


async def test_a_wrong_photo_is_moved_and_one_human_under_two_ids_is_merged(matcher: RunningMatcher) -> None:
    await add(matcher, "bob", at(0), at(0.1), at(0.1, axis=1))
    await add(matcher, "ann", at(2), at(2.1), at(0.05, axis=2))
    await add(matcher, "eve", at(1.5, axis=9), at(1.6, axis=9))
    await add(matcher, "eva", at(1.54, axis=9), at(1.7, axis=9))
    found = (await matcher.collections.ListInconsistentFaces(ASK())).faces
    kinds = {(face.person_id, face.other_person_id, face.suggestion) for face in found}
    assert ("ann", "bob", review_pb2.CORRECTION_SUGGESTION_MOVE_FACE) in kinds
    assert ("bob", "ann", review_pb2.CORRECTION_SUGGESTION_MOVE_OTHER_FACE) in kinds
    assert ("eve", "eva", review_pb2.CORRECTION_SUGGESTION_MERGE_PERSONS) in kinds
    (wrong,) = (face for face in found if face.person_id == "ann")
    assert {face.other_face_id for face in found if face.person_id == "bob"} == {wrong.face_id}
    await matcher.stub.MoveFaces(pb.MoveFacesRequest(face_ids=[wrong.face_id], target_person_id="bob"))
    await matcher.stub.MergePersons(pb.MergePersonsRequest(source_person_id="eva", target_person_id="eve"))
    assert not (await matcher.collections.ListInconsistentFaces(ASK())).faces


async def test_dismissed_pairs_only_faces_and_expired_faces_are_left_out(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await add(matcher, "bob", at(0))
    wrong, own = await add(matcher, "ann", at(0.125), at(1))
    (page,) = (await matcher.collections.ListInconsistentFaces(ASK())).faces
    assert (page.face_id, page.own_face_id) == (wrong.face.face_id, own.face.face_id)
    assert (page.other_distance, page.own_distance) == (0.125, 0.875)
    pair = review_pb2.DismissDuplicateRequest(person_id_a="ann", person_id_b="bob")
    await matcher.collections.DismissDuplicate(pair)
    assert not (await matcher.collections.ListInconsistentFaces(ASK())).faces
    (farther,) = await add(matcher, "eve", at(0.375))
    (page,) = (await matcher.collections.ListInconsistentFaces(ASK(person_id="ann"))).faces
    assert (page.other_face_id, page.other_distance) == (farther.face.face_id, 0.25), "the next nearest"
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="eve"))
    pair.restore = True
    await matcher.collections.DismissDuplicate(pair)
    await administrator.execute(
        "UPDATE facerec.face SET expire_time = now() WHERE face_id = $1", own.face.face_id
    )
    assert not (await matcher.collections.ListInconsistentFaces(ASK())).faces, "it is the only face"


async def test_a_token_is_valid_for_its_list_only(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await administrator.fetch("SELECT facerec.create_collection('other', $1)", SPACE)
    await add(matcher, "bob", at(0), at(0.0625))
    await add(matcher, "ann", at(2), at(0.03))
    token = (await matcher.collections.ListInconsistentFaces(ASK(page_size=1))).next_page_token
    assert token
    for other in (
        ASK(page_token=token, max_distance=0.5),
        ASK(page_token=token, person_id="ann"),
        ASK(page_token=token, collection_id="other"),
    ):
        with refused(Reason.OPTION_INVALID, "page_token"):
            await matcher.collections.ListInconsistentFaces(other)
    pairs = review_pb2.ListDuplicatesRequest(page_token=token)
    with refused(Reason.OPTION_INVALID, "page_token"):
        await matcher.collections.ListDuplicates(pairs)
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.collections.ListInconsistentFaces(ASK(person_id="nobody"))
    for distance in (-0.1, 0.61, float("nan")):
        with refused(Reason.OPTION_INVALID, "max_distance"):
            await matcher.collections.ListInconsistentFaces(ASK(max_distance=distance))
