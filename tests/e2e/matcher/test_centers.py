"""Faces far from a person's others are centers, and an index that misses its target is not used."""

import datetime
from typing import Any

import asyncpg
import numpy as np
import pytest
import structlog.testing

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.identification.search import REDUCED_LISTS
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.looks import RADIUS, populate
from tests.benchmarks.vectors import Dataset, Faces
from tests.e2e.matcher.catalog import change_settings
from tests.e2e.matcher.requests import Vector, encoding, enroll, refused
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.dataset import load
from tests.fixtures.matcher import RunningMatcher

FACES = partition_name("face", "default")
HOUR = datetime.timedelta(hours=1)
APART = 0.75


def looks(*photos: int, seed: int = 1) -> list[Vector]:
    """So many photos of each of some looks that are APART from the first, 0.1 or so from one another."""
    random = np.random.default_rng(seed)

    def moved(vector: Vector, distance: float) -> Vector:
        step = random.normal(size=128)
        return np.asarray(vector + step * distance / np.linalg.norm(step), np.float32)

    first = Dataset(1, photos=1).all().encodings[0]
    shown = [first, *(moved(first, APART) for _ in photos[1:])]
    return [
        np.array([moved(look, 0.07) for _ in range(count)]) for look, count in zip(shown, photos, strict=True)
    ]


async def centers(url: str) -> dict[str, list[bool]]:
    """Which faces of each person are marked, in the order of their references.

    Holds each face to be near a center of its person.
    """
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT p.person_id, p.centroid::float4[] AS mean, f.encoding::float4[] AS encoding, f.is_center"
            " FROM facerec.face f JOIN facerec.person p USING (person_key) ORDER BY 1, f.external_ref"
        )
    finally:
        await connection.close()
    marked: dict[str, list[bool]] = {}
    people = {row["person_id"]: [row["mean"]] for row in rows}
    for row in rows:
        if row["is_center"]:
            people[row["person_id"]].append(row["encoding"])
    for row in rows:
        near = people[row["person_id"]]
        assert np.linalg.norm(np.array(near) - row["encoding"], axis=1).min() <= RADIUS + 1e-5
        marked.setdefault(row["person_id"], []).append(row["is_center"])
    return marked


def request(person_id: str, faces: Vector, first: int = 0, **fields: Any) -> pb.EnrollRequest:
    """An enrollment whose references are in the order of the faces."""
    items = [
        pb.EnrollItem(probe=encoding(face), external_ref=f"{first + place:03}")
        for place, face in enumerate(faces)
    ]
    return pb.EnrollRequest(person_id=person_id, items=items, **fields)


async def test_a_face_unlike_the_others_is_a_center(matcher: RunningMatcher, database_url: str) -> None:
    usual, odd = looks(9, 1)
    await matcher.stub.Enroll(request("ann", usual))
    assert await centers(database_url) == {"ann": [False] * 9}
    await matcher.stub.Enroll(request("ann", odd, 9))
    assert await centers(database_url) == {"ann": [False] * 9 + [True]}


async def test_of_many_faces_of_one_look_one_is_a_center(matcher: RunningMatcher, database_url: str) -> None:
    for place, faces in enumerate(looks(30, 30)):
        await matcher.stub.Enroll(request("ann", faces, 30 * place))
    marked = (await centers(database_url))["ann"]
    assert (sum(marked[:30]), sum(marked[30:])) == (1, 1)


async def test_another_face_takes_the_place_of_a_center_that_is_deleted(
    matcher: RunningMatcher, database_url: str
) -> None:
    usual, odd = looks(9, 2)
    await matcher.stub.Enroll(request("ann", np.concatenate([usual, odd])))
    marked = (await centers(database_url))["ann"]
    assert marked[9:].count(True) == 1
    faces = (await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="ann"))).faces
    center = f"{marked.index(True):03}"
    (face_id,) = [face.face_id for face in faces if face.external_ref == center]
    await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=face_id))
    assert await centers(database_url) == {"ann": [False] * 9 + [True]}


async def test_a_merge_makes_centers_of_both_persons_looks(
    matcher: RunningMatcher, database_url: str
) -> None:
    for person_id, place, faces in zip(("ann", "annie"), (0, 4), looks(4, 4), strict=True):
        await matcher.stub.Enroll(request(person_id, faces, place))
    merge = pb.MergePersonsRequest(source_person_id="annie", target_person_id="ann")
    await matcher.stub.MergePersons(merge)
    marked = (await centers(database_url))["ann"]
    assert (sum(marked[:4]), sum(marked[4:])) == (1, 1)


@pytest.mark.parametrize("by", ["maintain", "an enrollment"])
async def test_centers_are_updated_when_faces_expire(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, by: str
) -> None:
    usual, odd, other = looks(9, 1, 1)
    soon = datetime.datetime.now(datetime.UTC) + HOUR
    await matcher.stub.Enroll(request("ann", odd))
    await matcher.stub.Enroll(request("ann", usual, 1, expire_time=soon))
    assert await centers(database_url) == {"ann": [True] + [False] * 9}
    await administrator.execute(
        f"UPDATE facerec.{FACES} SET expire_time = now() - interval '1 s' WHERE expire_time < 'infinity'"
    )
    if by == "maintain":
        await runner.run_once(MaintenanceOptions(database_url))
        assert await centers(database_url) == {"ann": [False]}
    else:
        await matcher.stub.Enroll(request("ann", other, 10))
        assert await centers(database_url) == {"ann": [True, True]}


async def test_an_import_marks_centers_of_new_and_existing_people(
    matcher: RunningMatcher, database_url: str
) -> None:
    usual, odd = looks(9, 1)
    await matcher.stub.Enroll(request("ann", usual))
    faces = np.concatenate([odd, usual, odd])
    await send(matcher, header(), chunk(faces, ["ann", *["ben"] * 10]))
    marked = await centers(database_url)
    assert {name: sum(each) for name, each in marked.items()} == {"ann": 1, "ben": 1}


async def test_maintain_marks_faces_enrolled_by_releases_without_marks(
    administrator: asyncpg.Connection, database_url: str
) -> None:
    population = populate(1000, 20)
    await load(administrator, population.faces)
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    await runner.run_once(MaintenanceOptions(database_url))
    marked = await centers(database_url)
    assert sum(map(sum, marked.values())) > 40


async def index_of(matcher: RunningMatcher) -> pb.SearchIndex:
    """The state of the index of `default`."""
    got = await matcher.collections.GetCollection(pb.GetCollectionRequest())
    index: pb.SearchIndex = got.collection.index
    return index


async def test_an_index_that_misses_its_target_with_all_lists_is_not_used(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    """Of 3,000 people who are nearly one, those whom it proposes are chance."""
    one = Dataset(1, photos=1).all().encodings[0]
    alike = one + np.random.default_rng(2).normal(scale=1e-4, size=(3000, 128)).astype(np.float32)
    await load(administrator, Faces(np.arange(3000), alike))
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    with structlog.testing.capture_logs() as log:
        await runner.run_once(MaintenanceOptions(database_url))
    assert "index_target_missed" in [line["event"] for line in log]
    index = await index_of(matcher)
    assert not index.ready
    assert index.HasField("build_time")
    assert index.recall < 0.5
    assert index.recall_low < index.recall
    answer = await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(alike[7])]))
    assert answer.faces[0].mode == pb.SEARCH_MODE_EXACT
    assert answer.faces[0].candidates[0].person_id == "p7"


async def test_an_index_over_too_few_people_to_measure_is_searched_whole(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    await load(administrator, Dataset(60, photos=20, even=True).all())
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    await runner.run_once(MaintenanceOptions(database_url))
    index = await index_of(matcher)
    assert index.ready
    assert not index.HasField("recall")
    assert not index.HasField("far_recall")
    lists_read = await administrator.fetchval("SELECT index_effort FROM facerec.collection")
    assert lists_read * REDUCED_LISTS >= 16


async def test_people_with_one_photo_are_measured_too(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    await load(administrator, Dataset(1500, photos=1, even=True).all())
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    await runner.run_once(MaintenanceOptions(database_url))
    index = await index_of(matcher)
    assert index.ready
    assert index.recall >= 0.998
    assert index.far_recall >= 0.998


async def test_a_person_of_two_looks_is_not_enrolled_twice_by_the_rarer_one(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    population = populate(1500, 20, lookalike=0.6)
    await load(administrator, population.faces)
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    await runner.run_once(MaintenanceOptions(database_url))
    assert (await index_of(matcher)).ready
    await change_settings(matcher, duplicate_policy=pb.DUPLICATE_POLICY_REFUSE)
    for face in (*population.odd[5], *population.odd[10]):
        with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
            await matcher.stub.Enroll(enroll("again", encoding(face)))
