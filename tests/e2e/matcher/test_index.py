"""Collections with an index, which `maintain` builds and updates, and which never decides "nobody"."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import grpc.aio
import numpy as np
import numpy.typing as npt
import pytest
import structlog.testing

from facerec.encoder.v1 import encoder_pb2
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from matcher_service.identification.search import REDUCED_LISTS
from matcher_service.maintenance import indexes, runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres.connections import owner as session
from matcher_service.postgres.connections.owner import LOCK_KEY
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.vectors import Dataset, Faces
from tests.e2e.matcher.catalog import change_settings
from tests.e2e.matcher.requests import enroll, refused
from tests.fixtures import dataset
from tests.fixtures.matcher import RunningMatcher
from tests.fixtures.waiting import until

PEOPLE = Dataset(1000, 3.0, seed=11)
PERSONS, FACES = (partition_name(parent, "default") for parent in ("person", "face"))
INDEX, EXACT, CONFIRMED = pb.SEARCH_MODE_INDEX, pb.SEARCH_MODE_EXACT, pb.SEARCH_MODE_INDEX_CONFIRMED


@pytest.fixture
async def faces(administrator: asyncpg.Connection) -> Faces:
    """What the collection `default` holds: some 3,000 faces, which it is to index."""
    faces = PEOPLE.all()
    await dataset.load(administrator, faces)
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    return faces


@pytest.fixture
def collections(matcher: RunningMatcher) -> Any:
    return Collections(matcher)


class Collections:
    """CollectionService of the matcher under test."""

    def __init__(self, matcher: RunningMatcher) -> None:
        self._address = matcher.address

    async def __call__(self, method: str, request: Any) -> Any:
        async with grpc.aio.insecure_channel(self._address) as channel:
            return await getattr(matcher_pb2_grpc.CollectionServiceStub(channel), method)(request)

    async def index(self) -> pb.SearchIndex:
        index: pb.SearchIndex = (await self("GetCollection", pb.GetCollectionRequest())).collection.index
        return index


async def maintain(url: str) -> bool:
    return await runner.run_once(MaintenanceOptions(url))


def probe(vector: npt.NDArray[np.float32]) -> pb.Probe:
    return pb.Probe(encoding=encoder_pb2.Encoding(values=vector.tolist(), space=dataset.SPACE))


async def identify(matcher: RunningMatcher, vector: Any, **options: Any) -> pb.IdentifiedFace:
    request = pb.IdentifyRequest(probes=[probe(vector)], **options)
    answer: pb.IdentifiedFace = (await matcher.stub.Identify(request)).faces[0]
    return answer


def nearest(faces: Faces, vector: npt.NDArray[np.float32]) -> tuple[str, float]:
    """Who numpy finds, and how far away."""
    distances = np.linalg.norm(faces.encodings.astype(np.float64) - vector.astype(np.float64), axis=1)
    place = int(np.argmin(distances))
    return dataset.person_id(int(faces.people[place])), float(distances[place])


async def test_decisions_equal_those_of_numpy_whatever_the_index_proposes(
    matcher: RunningMatcher, faces: Faces, database_url: str
) -> None:
    assert await maintain(database_url)
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
    matcher: RunningMatcher, faces: Faces, database_url: str
) -> None:
    await maintain(database_url)
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
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection, database_url: str
) -> None:
    await maintain(database_url)
    vector = PEOPLE.genuine(1).encodings[0]
    _, distance = nearest(faces, vector)
    for trust, mode in ((distance * 1.001, INDEX), (distance * 0.999, CONFIRMED)):
        await administrator.execute("UPDATE facerec.collection SET acceptance_threshold = $1", trust)
        answer = await identify(matcher, vector, max_distance=0.6)
        assert answer.mode == mode
        assert (answer.faces_searched == len(faces.people)) == (mode == CONFIRMED)


async def test_a_caller_or_a_collection_may_ask_for_exact_searches(
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection, database_url: str
) -> None:
    await maintain(database_url)
    vector = faces.encodings[0]
    assert (await identify(matcher, vector)).mode == INDEX
    asked = await identify(matcher, vector, exact_only=True)
    assert (asked.mode, asked.exact, asked.faces_searched) == (EXACT, True, len(faces.people))
    await administrator.execute("UPDATE facerec.collection SET exact_only = true")
    assert (await identify(matcher, vector)).mode == EXACT


async def test_a_collection_that_refuses_duplicates_finds_those_that_its_index_misses(
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection, database_url: str
) -> None:
    await maintain(database_url)
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
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection, database_url: str
) -> None:
    """With a single list searched, some people are missed; with all of them, nobody is.

    Every result is accepted here, so the reduced query's share of the lists is what decides.
    """
    everything = math.ceil(16 / REDUCED_LISTS)
    await maintain(database_url)
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
    matcher: RunningMatcher, faces: Faces, database_url: str
) -> None:
    await maintain(database_url)
    vector = PEOPLE.non_mated(1, draw=5)[0]
    await matcher.stub.Enroll(pb.EnrollRequest(person_id="new", items=[pb.EnrollItem(probe=probe(vector))]))
    answer = await identify(matcher, vector)
    assert (answer.mode, answer.candidates[0].person_id) == (INDEX, "new")
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="new"))
    answer = await identify(matcher, vector)
    assert "new" not in {candidate.person_id for candidate in answer.candidates}


async def test_the_largest_numbers_an_encoding_may_have_fit_an_index(
    matcher: RunningMatcher, faces: Faces, database_url: str
) -> None:
    largest = np.full(128, 1000, np.float32)
    for name, vector in (("low", -largest), ("high", largest)):
        item = pb.EnrollItem(probe=probe(vector))
        await matcher.stub.Enroll(pb.EnrollRequest(person_id=name, items=[item]))
    await maintain(database_url)
    for name, vector in (("low", -largest), ("high", largest)):
        answer = await identify(matcher, vector)
        assert (answer.mode, answer.candidates[0].person_id) == (INDEX, name)


async def test_an_index_is_built_at_a_size_rebuilt_with_growth_and_dropped_with_shrinking(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, collections: Any
) -> None:
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    few = Dataset(200, 2.0, even=True, seed=3)
    await dataset.load(administrator, few.all())
    await maintain(database_url)
    assert not (await collections.index()).ready
    assert (await identify(matcher, few.all().encodings[0])).mode == EXACT

    await dataset.load(administrator, _renumbered(Dataset(400, 2.0, even=True, seed=4).all(), 1000))
    await maintain(database_url)
    first = await collections.index()
    assert (first.ready, first.persons) == (True, 600)
    assert first.recall >= 0.99
    assert await _indexes(administrator) == _pair(1)
    await maintain(database_url)
    assert (await collections.index()).build_time == first.build_time

    await dataset.load(administrator, _renumbered(Dataset(400, 2.0, even=True, seed=5).all(), 5000))
    await maintain(database_url)
    assert (await collections.index()).persons == 1000
    assert await _indexes(administrator) == _pair(2)

    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 100000")
    await maintain(database_url)
    assert not (await collections.index()).ready
    assert await _indexes(administrator) == []
    assert (await identify(matcher, few.all().encodings[0])).mode == EXACT


async def test_leftovers_of_an_interrupted_build_are_dropped(
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection, database_url: str
) -> None:
    await administrator.execute(
        f"CREATE INDEX {PERSONS}_near_1 ON facerec.{PERSONS}"
        " USING ivfflat ((subvector(centroid, 1, 64)::halfvec(64)) halfvec_l2_ops) WITH (lists = 16);"
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'facerec.{PERSONS}_near_1'::regclass"
    )
    await maintain(database_url)
    valid = await administrator.fetch(
        "SELECT i.relname, x.indisvalid FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
        " WHERE i.relname LIKE '%_near_%'"
    )
    assert sorted(tuple(row) for row in valid) == [(name, True) for name in _pair(1)]
    assert (await identify(matcher, faces.encodings[0])).mode == INDEX


@pytest.mark.parametrize("index", [f"facerec.{table}_near_1" for table in (PERSONS, FACES)])
@pytest.mark.parametrize(
    "statement",
    ["DROP INDEX {0}", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{0}'::regclass"],
)
@pytest.mark.usefixtures("faces")
async def test_an_index_that_somebody_dropped_is_noticed_and_built_again(
    matcher: RunningMatcher,
    administrator: asyncpg.Connection,
    database_url: str,
    index: str,
    statement: str,
) -> None:
    await maintain(database_url)
    await administrator.execute(statement.format(index))
    await maintain(database_url)
    valid = await administrator.fetch(
        "SELECT x.indisvalid FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
        " WHERE i.relname LIKE '%_near_%'"
    )
    assert [row["indisvalid"] for row in valid] == [True, True]
    assert (await identify(matcher, PEOPLE.all().encodings[0])).mode == INDEX


async def test_a_build_shows_its_progress(
    faces: Faces, administrator: asyncpg.Connection, database_url: str, collections: Any
) -> None:
    """A writer that holds its transaction open keeps the build waiting where it can be seen."""
    other = await asyncpg.connect(database_url)
    try:
        held = other.transaction()
        await held.start()
        await other.execute(f"UPDATE facerec.{PERSONS} SET display_name = 'x' WHERE person_id = 'p0'")
        build = asyncio.create_task(maintain(database_url))

        async def waits() -> bool:
            return "waiting" in (await collections.index()).build_phase

        await until(waits)
        assert not (await collections.index()).ready
        await held.rollback()
        assert await build
    finally:
        await other.close()
    index = await collections.index()
    assert (index.ready, index.build_phase) == (True, "")


@pytest.fixture
async def snapshot(faces: Faces, database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A transaction with a snapshot, of another table than those of `default`, until it is ended."""
    other = await asyncpg.connect(database_url)
    await other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await other.execute("SELECT 1 FROM facerec.model")
    yield other
    await other.close()


async def test_a_build_outlasts_a_snapshot_that_began_before(
    snapshot: asyncpg.Connection,
    administrator: asyncpg.Connection,
    database_url: str,
    collections: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "LOCK_WAIT_SECONDS", 0.2)
    build = asyncio.create_task(maintain(database_url))

    async def waits() -> bool:
        return "old snapshots" in (await collections.index()).build_phase

    await until(waits)
    await asyncio.sleep(0.5)
    # Beside it people are read and written.
    await administrator.execute(f"UPDATE facerec.{PERSONS} SET display_name = 'x' WHERE person_id = 'p0'")
    await snapshot.execute("ROLLBACK")
    assert await build
    assert (await collections.index()).ready
    assert await _indexes(administrator) == _pair(1)


@pytest.mark.parametrize("held", ["a snapshot", "a writer's lock"])
async def test_a_build_is_postponed_if_an_old_transaction_would_block_it(
    snapshot: asyncpg.Connection,
    database_url: str,
    collections: Any,
    monkeypatch: pytest.MonkeyPatch,
    held: str,
) -> None:
    monkeypatch.setattr(indexes, "OLD_SECONDS", 0.0)
    if held != "a snapshot":
        await snapshot.execute("ROLLBACK")
        await snapshot.execute("BEGIN")
        await snapshot.execute(f"UPDATE facerec.{PERSONS} SET display_name = 'x' WHERE person_id = 'p0'")
    with structlog.testing.capture_logs() as log:
        assert await maintain(database_url)
    assert [line["event"] for line in log] == ["index_build_postponed"]
    await snapshot.execute("ROLLBACK")
    waiting = "SELECT waiting FROM facerec.maintenance WHERE step = 'keep'"
    assert await snapshot.fetchval(waiting) == 1
    assert await _indexes(snapshot) == []
    monkeypatch.undo()  # of the matcher's own moments none is to be taken for old
    assert await maintain(database_url)
    assert (await collections.index()).ready
    assert await snapshot.fetchval(waiting) == 0


async def test_only_one_maintains_at_a_time(
    faces: Faces, administrator: asyncpg.Connection, database_url: str
) -> None:
    await administrator.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    assert not await maintain(database_url)
    assert await _indexes(administrator) == []
    await administrator.execute("SELECT pg_advisory_unlock_all()")
    assert await maintain(database_url)


def _renumbered(faces: Faces, first: int) -> Faces:
    return Faces(faces.people + first, faces.encodings)


def _pair(number: int) -> list[str]:
    return [f"{table}_near_{number}" for table in (FACES, PERSONS)]


async def _indexes(administrator: asyncpg.Connection) -> list[str]:
    rows = await administrator.fetch("SELECT relname FROM pg_class WHERE relname LIKE '%_near_%' ORDER BY 1")
    return [row["relname"] for row in rows]
