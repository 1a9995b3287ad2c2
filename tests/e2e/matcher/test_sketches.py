"""Exact scans by sketches find what numpy finds, and every writer of faces keeps the sketches."""

import asyncio
from typing import Any

import asyncpg
import numpy as np
import pytest

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.identification import sketches
from matcher_service.maintenance import sketches as building
from matcher_service.maintenance.runner import MaintenanceOptions, run_once
from matcher_service.postgres.statements import partition_name
from matcher_service.postgres.vectors import vector_wire
from tests.benchmarks.vectors import Dataset, Faces
from tests.e2e.matcher.requests import encoding, enroll, retried
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures import dataset
from tests.fixtures.matcher import RunningMatcher, StartMatcher

PEOPLE = Dataset(2_500, 2.0, even=True, seed=21)
FACE, SKETCH, ROTATION = (partition_name(parent, "default") for parent in ("face", "sketch", "rotation"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a few thousand faces be enough."""
    monkeypatch.setattr(building, "MIN_FACES", 4_000)
    monkeypatch.setattr(building, "BATCH_FACES", 500)


@pytest.fixture
async def faces(administrator: asyncpg.Connection) -> Faces:
    """What the collection `default` holds."""
    faces = PEOPLE.all()
    await dataset.load(administrator, faces)
    return faces


@pytest.fixture
async def matcher(start_matcher: StartMatcher, database_url: str) -> RunningMatcher:
    """A matcher that scans apart whatever the size."""
    return await start_matcher(database_url, scan_apart_above_faces=0)


async def maintain(database_url: str, **options: Any) -> None:
    assert await run_once(MaintenanceOptions(database_url, **options))


async def reaches(administrator: asyncpg.Connection) -> float | None:
    """Up to which distance scans of the collection use sketches."""
    distance: float | None = await administrator.fetchval(
        "SELECT sketch_max_distance FROM facerec.collection WHERE collection_id = 'default'"
    )
    return distance


async def differences(administrator: asyncpg.Connection) -> tuple[int, int]:
    """How many faces have no sketch, or another than numpy's, and how many sketches have no face."""
    axes = np.array(
        [
            row[0]
            for row in await administrator.fetch(
                f"SELECT axis::real[] FROM facerec.{ROTATION} ORDER BY number"
            )
        ]
    )
    rows = await administrator.fetch(
        f"SELECT f.encoding::real[], s.sketch::real[], s.person_key FROM facerec.{FACE} f"
        f" LEFT JOIN facerec.{SKETCH} s USING (person_key, content_id)"
    )
    orphans: int = await administrator.fetchval(
        f"SELECT count(*) FROM facerec.{SKETCH} s LEFT JOIN facerec.{FACE} f USING (person_key, content_id)"
        " WHERE f.person_key IS NULL"
    )
    return sum(not _is_sketch(row, axes) for row in rows), orphans


def _is_sketch(row: asyncpg.Record, axes: Any) -> bool:
    """Whether a row has a face's sketch, as float64 computes it, but for rounding."""
    vector, sketch, key = row
    norm = float(np.linalg.norm(vector))
    if key is None or (sketch is None) != (norm > sketches.LONGEST):
        return False
    return sketch is None or float(np.linalg.norm(axes @ vector - sketch)) <= sketches.margin(norm) / 2


def expected(faces: Faces, vector: Any, threshold: float) -> list[str]:
    """Who numpy finds within a threshold, nearest first, 20 at most."""
    distances = np.linalg.norm(faces.encodings.astype(np.float64) - vector.astype(np.float64), axis=1)
    places = [place for place in np.argsort(distances, kind="stable") if distances[place] <= threshold]
    return list(dict.fromkeys(dataset.person_id(int(faces.people[place])) for place in places))[:20]


async def identify(matcher: RunningMatcher, vectors: Any, threshold: float) -> list[list[str]]:
    """Whom exact searches find, up to 16 of one call."""
    request = pb.IdentifyRequest(
        probes=[encoding(vector) for vector in vectors],
        exact_only=True,
        max_candidates=20,
        max_distance=threshold,
    )
    found = await retried(matcher.stub.Identify, request)
    return [[candidate.person_id for candidate in face.candidates] for face in found.faces]


async def test_scans_by_sketches_find_what_numpy_finds(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    await maintain(database_url)
    reach = await reaches(administrator)
    assert reach is not None and 0.4 < reach < 0.6
    assert await differences(administrator) == (0, 0)
    # Only sketches can answer: without them a scan finds nobody.
    vectors = np.concatenate([PEOPLE.genuine(24, draw=2).encodings, PEOPLE.non_mated(24, draw=3)])
    somebody = 0
    for threshold in (0.3, 0.41, reach, reach + 0.001, 0.6, 0.8):
        for first in range(0, len(vectors), 16):
            probes = vectors[first : first + 16]
            answers = await identify(matcher, probes, threshold)
            assert answers == [expected(faces, vector, threshold) for vector in probes]
            somebody += sum(map(bool, answers))
    assert somebody > 150
    await administrator.execute(f"DELETE FROM facerec.{SKETCH}")
    assert await identify(matcher, vectors[:1], reach) == [[]]
    assert await identify(matcher, vectors[:1], reach + 0.001) == [expected(faces, vectors[0], reach + 0.001)]


async def test_every_writer_of_faces_keeps_the_sketches(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    await maintain(database_url)
    new = PEOPLE.non_mated(6, draw=9)
    await matcher.stub.Enroll(enroll("p1", encoding(new[0])))
    receipt = await matcher.stub.Enroll(enroll("ann", encoding(new[1]), encoding(new[2])))
    await send(matcher, header(), chunk(new[3:6], ["bob", "bob", "p2"]))
    assert await differences(administrator) == (0, 0)
    await matcher.stub.MergePersons(pb.MergePersonsRequest(source_person_id="bob", target_person_id="p3"))
    await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=receipt.faces[0].face.face_id))
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="p4"))
    assert await differences(administrator) == (0, 0)
    assert await identify(matcher, new[3:5], 0.01) == [["p3"], ["p3"]]
    await administrator.execute(
        f"UPDATE facerec.{FACE} SET expire_time = now() - interval '1 s' WHERE person_key % 7 = 0"
    )
    assert await identify(matcher, faces.encodings[:16], 0.4) != [
        expected(faces, vector, 0.4) for vector in faces.encodings[:16]
    ]
    await maintain(database_url)
    assert await differences(administrator) == (0, 0)
    assert await administrator.fetchval(f"SELECT count(*) FROM facerec.{SKETCH}") > 4_000


async def test_a_vector_too_long_for_a_sketch_is_always_compared(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    long = (100 * faces.encodings[0]).astype(np.float32)
    await matcher.stub.Enroll(enroll("early", encoding(long)))
    await maintain(database_url)
    await matcher.stub.Enroll(enroll("late", encoding(long + np.float32(0.01))))
    assert await administrator.fetchval(f"SELECT count(*) FROM facerec.{SKETCH} WHERE sketch IS NULL") == 2
    assert await identify(matcher, [long, long + np.float32(0.01)], 0.2) == [
        ["early", "late"],
        ["late", "early"],
    ]


@pytest.mark.parametrize("threshold", [0.41, 0.5])
async def test_a_face_is_found_to_the_last_bit_of_the_threshold(
    matcher: RunningMatcher,
    administrator: asyncpg.Connection,
    database_url: str,
    faces: Faces,
    threshold: float,
) -> None:
    await maintain(database_url)
    probe = PEOPLE.non_mated(1, draw=5)[0]
    axis = np.array(
        await administrator.fetchval(f"SELECT axis::real[] FROM facerec.{ROTATION} WHERE number = 1"),
        np.float32,
    )
    for sign in (-1, 1):  # along an axis the sketch loses nothing of the distance
        name = f"along{sign}"
        await matcher.stub.Enroll(enroll(name, encoding(probe + np.float32(sign * threshold) * axis)))
        stored = await administrator.fetchval(
            f"SELECT f.encoding <-> $1 FROM facerec.{FACE} f ORDER BY f.create_time DESC LIMIT 1",
            vector_wire(probe),
        )
        inside, outside = np.nextafter(stored, 9), np.nextafter(stored, 0)
        assert name in (await identify(matcher, [probe], float(stored)))[0]
        assert name in (await identify(matcher, [probe], float(inside)))[0]
        assert name not in (await identify(matcher, [probe], float(outside)))[0]


async def test_faces_written_past_the_triggers_have_the_sketches_built_again(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    await maintain(database_url)
    await administrator.execute(f"DELETE FROM facerec.{SKETCH} WHERE person_key % 2 = 0")
    await maintain(database_url, recall_check_seconds=0)
    assert await differences(administrator) == (0, 0)


async def test_a_scrub_leaves_no_rotation_made_of_an_erased_person(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    await maintain(database_url)
    first = await administrator.fetch(f"SELECT axis::text FROM facerec.{ROTATION} ORDER BY number")
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="p4"))
    await maintain(database_url, scrub=True)
    second = await administrator.fetch(f"SELECT axis::text FROM facerec.{ROTATION} ORDER BY number")
    assert len(first) == len(second) == sketches.AXES and not {*first} & {*second}


async def test_a_collection_that_shrinks_loses_its_sketches(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    await maintain(database_url)
    await administrator.execute(f"DELETE FROM facerec.{FACE} WHERE person_key % 4 <> 0")
    await administrator.execute(f"VACUUM FULL ANALYZE facerec.{FACE}")
    await maintain(database_url)
    assert await reaches(administrator) is None
    for table in (SKETCH, ROTATION):
        assert not await administrator.fetchval(f"SELECT count(*) FROM facerec.{table}")


async def test_sketches_are_not_used_without_their_triggers(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    """As after a restore of the data alone, until `maintain` has made them again."""
    await maintain(database_url)
    new = PEOPLE.non_mated(1, draw=17)[0]
    await administrator.execute(f"ALTER TABLE facerec.{FACE} DISABLE TRIGGER add_sketches")
    await matcher.stub.Enroll(enroll("ann", encoding(new)))
    assert await identify(matcher, [new], 0.1) == [["ann"]]
    await maintain(database_url)
    assert await differences(administrator) == (0, 0)
    assert await identify(matcher, [new], 0.1) == [["ann"]]


async def test_what_administrators_write_to_faces_keeps_the_sketches(
    administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    await maintain(database_url)
    await administrator.execute("DELETE FROM facerec.face WHERE person_key % 5 = 0")
    assert await differences(administrator) == (0, 0)
    await administrator.execute(  # a key that one statement takes from one face and gives to another
        f"MERGE INTO facerec.{FACE} f USING ("
        f" SELECT person_key, (array_agg(content_id))[1] AS first FROM facerec.{FACE}"
        " GROUP BY 1 HAVING count(*) = 2"
        ") p ON p.person_key = f.person_key"
        " WHEN MATCHED AND f.content_id = p.first THEN DELETE"
        " WHEN MATCHED THEN UPDATE SET encoding = f.encoding, content_id = gen_random_uuid()"
    )
    assert await differences(administrator) == (0, 0)
    await administrator.execute(
        f"WITH gone AS (DELETE FROM facerec.{FACE} WHERE person_key % 3 = 0 RETURNING *)"
        f" INSERT INTO facerec.{FACE} SELECT * FROM gone"
    )
    assert await differences(administrator) == (0, 0)
    await administrator.execute(f"TRUNCATE facerec.{FACE}")
    assert await differences(administrator) == (0, 0)


async def test_sketches_of_other_vectors_are_found_and_built_again(
    administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    await maintain(database_url)
    await administrator.execute(f"ALTER TABLE facerec.{FACE} DISABLE TRIGGER replace_sketch")
    await administrator.execute(
        f"UPDATE facerec.{FACE} f SET encoding = o.encoding FROM facerec.{FACE} o"
        " WHERE f.person_key % 9 = 0 AND o.person_key = f.person_key + 1"
    )
    await administrator.execute(f"ALTER TABLE facerec.{FACE} ENABLE TRIGGER replace_sketch")
    assert (await differences(administrator))[0] > 100
    await maintain(database_url, recall_check_seconds=0)
    assert await differences(administrator) == (0, 0)


async def test_sketches_are_complete_whatever_isolation_a_database_has_by_default(
    administrator: asyncpg.Connection, database_url: str, start_matcher: StartMatcher, faces: Faces
) -> None:
    name = await administrator.fetchval("SELECT current_database()")
    await administrator.execute(
        f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"
    )
    matcher = await start_matcher(database_url, scan_apart_above_faces=0)
    new = PEOPLE.non_mated(30, draw=19)

    async def write() -> None:
        for number, vector in enumerate(new):
            await retried(matcher.stub.Enroll, enroll(f"new{number}", encoding(vector)))

    await asyncio.gather(maintain(database_url), write())
    assert await differences(administrator) == (0, 0)


async def test_many_vectors_too_long_for_a_sketch_have_scans_read_faces(
    administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    await maintain(database_url)
    await administrator.execute(
        f"UPDATE facerec.{FACE} SET encoding = encoding + encoding WHERE person_key % 50 = 0"
    )
    assert await differences(administrator) == (0, 0)
    await maintain(database_url)
    assert await reaches(administrator) == building.NO_DISTANCE


async def test_an_older_releases_word_that_an_erasure_is_complete_does_not_count(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="p4"))
    older = "UPDATE facerec.erasure SET vacuum_time = clock_timestamp(), scrub_time = clock_timestamp()"
    await administrator.execute(older)
    pending = "SELECT count(*) FROM facerec.erasure WHERE vacuum_time IS NULL AND scrub_time IS NULL"
    assert await administrator.fetchval(pending) == 1
    await maintain(database_url, scrub=True)
    assert await administrator.fetchval(pending) == 0


async def test_faces_are_written_in_read_committed_transactions_alone(
    administrator: asyncpg.Connection, database_url: str, faces: Faces
) -> None:
    await maintain(database_url)
    with pytest.raises(asyncpg.FeatureNotSupportedError, match="read committed"):
        async with administrator.transaction(isolation="repeatable_read"):
            await administrator.execute(f"DELETE FROM facerec.{FACE}")
