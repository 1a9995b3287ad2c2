"""Collections with an index, which `maintain` builds and updates, and which never decides "nobody"."""

import asyncio
import math
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import numpy as np
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.identification.search import REDUCED_LISTS
from tests.benchmarks.vectors import Faces
from tests.e2e.matcher.catalog import change_settings
from tests.e2e.matcher.indexing import (
    CONFIRMED,
    EXACT,
    INDEX,
    PEOPLE,
    identify,
    load_people,
    maintain,
    nearest,
    probe,
)
from tests.e2e.matcher.requests import enroll, refused
from tests.fixtures import dataset
from tests.fixtures.matcher import RunningMatcher
from tests.fixtures.postgres import Databases


@pytest.fixture(scope="module")
def indexed_database(make_database: Databases, template_database: str) -> str:
    """The name of a database with PEOPLE and their index, of which each test has a copy."""
    url = make_database(template_database)

    async def build() -> None:
        administrator = await asyncpg.connect(url)
        await load_people(administrator)
        await administrator.close()
        assert await maintain(url)

    asyncio.run(build())
    return urlsplit(url).path.removeprefix("/")


@pytest.fixture
def database_url(make_database: Databases, indexed_database: str) -> Iterator[str]:
    url = make_database(indexed_database)
    yield url
    make_database.done(url)


@pytest.fixture
def faces() -> Faces:
    return PEOPLE.all()


async def test_decisions_equal_those_of_numpy_whatever_the_index_proposes(
    matcher: RunningMatcher, faces: Faces
) -> None:
    probes = [*PEOPLE.genuine(60).encodings, *PEOPLE.non_mated(30)]
    modes = set()
    for threshold in (0.4, 0.5, 0.6):
        for vector in probes:
            answer = await identify(matcher, vector, max_distance=threshold)
            who, distance = nearest(faces, vector)
            if distance <= threshold:
                assert answer.candidates[0].person_id == who
                assert answer.candidates[0].distance == pytest.approx(distance, rel=1e-6)
            else:
                assert not answer.candidates
                assert answer.mode == CONFIRMED
            assert answer.exact == (answer.mode != INDEX)
            modes.add(answer.mode)
    assert modes == {INDEX, CONFIRMED}


async def test_photos_of_one_person_are_searched_for_by_the_index(
    matcher: RunningMatcher, faces: Faces
) -> None:
    modes, random = set(), np.random.default_rng(3)
    for number, vector in enumerate(PEOPLE.genuine(30).encodings):
        photos = vector + random.normal(scale=0.2 / np.sqrt(128), size=(3, 128)).astype(np.float32)
        request = pb.IdentifyRequest(
            probes=[probe(photo) for photo in photos],
            same_person=True,
            max_distance=0.5,
            exact_only=number % 3 == 0,
        )
        [answer] = (await matcher.stub.Identify(request)).faces
        gaps = faces.encodings[:, None].astype(float) - photos
        distances = np.sqrt(np.mean(np.sum(gaps**2, axis=2), axis=1))
        place = int(np.argmin(distances))
        assert answer.photos == 3
        assert bool(answer.candidates) == (distances[place] <= 0.5)
        if answer.candidates:
            assert answer.candidates[0].person_id == dataset.person_id(int(faces.people[place]))
            assert answer.candidates[0].distance == pytest.approx(distances[place], abs=2e-6)
        modes.add(answer.mode)
    assert modes >= {INDEX, EXACT}


async def test_an_index_result_is_accepted_only_within_the_acceptance_threshold(
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection
) -> None:
    vector = PEOPLE.genuine(1).encodings[0]
    _, distance = nearest(faces, vector)
    for trust, mode in ((distance * 1.001, INDEX), (distance * 0.999, CONFIRMED)):
        await administrator.execute("UPDATE facerec.collection SET acceptance_threshold = $1", trust)
        answer = await identify(matcher, vector, max_distance=0.6)
        assert answer.mode == mode
        assert (answer.faces_searched == len(faces.people)) == (mode == CONFIRMED)


async def test_a_caller_or_a_collection_may_ask_for_exact_searches(
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection
) -> None:
    vector = faces.encodings[0]
    assert (await identify(matcher, vector)).mode == INDEX
    asked = await identify(matcher, vector, exact_only=True)
    assert (asked.mode, asked.exact, asked.faces_searched) == (EXACT, True, len(faces.people))
    await administrator.execute("UPDATE facerec.collection SET exact_only = true")
    assert (await identify(matcher, vector)).mode == EXACT


async def test_a_collection_that_refuses_duplicates_finds_those_that_its_index_misses(
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection
) -> None:
    await administrator.execute("UPDATE facerec.collection SET index_effort = 1")
    vectors = [each for each in PEOPLE.genuine(60).encodings if nearest(faces, each)[1] <= 0.5]
    missed = []
    for vector in vectors:
        flagged = await matcher.stub.Enroll(enroll("again", probe(vector)))
        if not flagged.faces[0].HasField("duplicate"):
            missed.append(vector)
        await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="again"))
    assert missed
    await change_settings(matcher, duplicate_policy=pb.DUPLICATE_POLICY_REFUSE)
    for vector in missed:
        with refused(Reason.FACE_DUPLICATE, "items[0].probe"):
            await matcher.stub.Enroll(enroll("again", probe(vector)))


async def test_the_measured_number_of_lists_is_read_in_searches(
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection
) -> None:
    """With a single list searched, some people are missed; with all of them, nobody is.

    Every result is accepted here, so the reduced query's share of the lists is what decides.
    """
    everything = math.ceil(16 / REDUCED_LISTS)
    await administrator.execute(
        "UPDATE facerec.collection SET acceptance_threshold = 4, duplicate_threshold = 4"
    )
    found = {}
    for lists_read in (1, everything):
        await administrator.execute("UPDATE facerec.collection SET index_effort = $1", lists_read)
        answers = [await identify(matcher, v, max_distance=4) for v in PEOPLE.genuine(60, draw=1).encodings]
        found[lists_read] = sum(
            answer.candidates[0].person_id == nearest(faces, vector)[0]
            for answer, vector in zip(answers, PEOPLE.genuine(60, draw=1).encodings, strict=True)
        )
    assert found[1] < found[everything] == 60


async def test_a_new_person_is_found_by_the_index_and_an_erased_one_is_not(
    matcher: RunningMatcher, faces: Faces
) -> None:
    vector = PEOPLE.non_mated(1, draw=5)[0]
    await matcher.stub.Enroll(pb.EnrollRequest(person_id="new", items=[pb.EnrollItem(probe=probe(vector))]))
    answer = await identify(matcher, vector)
    assert (answer.mode, answer.candidates[0].person_id) == (INDEX, "new")
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="new"))
    answer = await identify(matcher, vector)
    assert "new" not in {candidate.person_id for candidate in answer.candidates}
