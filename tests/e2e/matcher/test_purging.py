"""`maintain` erases expired faces and nothing else."""

import datetime

import asyncpg

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.maintenance import runner
from matcher_service.maintenance.expiry import erase_expired
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres.connections.owner import connect
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import encoding, enroll, vectors
from tests.fixtures.matcher import RunningMatcher

FACES, PERSONS = partition_name("face", "default"), partition_name("person", "default")
HOUR = datetime.timedelta(hours=1)


async def people(matcher: RunningMatcher) -> dict[str, int]:
    """Who is there, with their counts of faces."""
    answer = await matcher.stub.ListPersons(pb.ListPersonsRequest())
    return {person.person_id: person.face_count for person in answer.persons}


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def centroid_error(url: str) -> float:
    """The farthest that a person's centroid is from the mean of the faces they have."""
    connection = await asyncpg.connect(url)
    error: float = await connection.fetchval(
        "SELECT max(p.centroid <-> m.mean) FROM facerec.person p JOIN"
        " (SELECT person_key, avg(encoding) AS mean FROM facerec.face GROUP BY 1) m USING (person_key)"
    )
    await connection.close()
    return error


async def test_expired_faces_are_erased_and_persons_without_others_too(
    matcher: RunningMatcher, database_url: str
) -> None:
    soon = datetime.datetime.now(datetime.UTC) + HOUR
    first, second, third = (encoding(vector) for vector in vectors(3))
    await matcher.stub.Enroll(enroll("both", first))
    await matcher.stub.Enroll(enroll("both", second, expire_time=soon))
    await matcher.stub.Enroll(enroll("passing", second, third, expire_time=soon))
    await matcher.stub.Enroll(enroll("staying", third))
    await matcher.stub.Enroll(enroll("faceless", third))
    faces = await matcher.stub.ListFaces(pb.ListFacesRequest(person_id="faceless"))
    await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=faces.faces[0].face_id))
    await runner.run_once(MaintenanceOptions(database_url))
    assert await people(matcher) == {"both": 2, "faceless": 0, "passing": 2, "staying": 1}

    await run(
        database_url,
        f"UPDATE facerec.{FACES} SET expire_time = now() - interval '1 s' WHERE expire_time < 'infinity'",
    )
    await runner.run_once(MaintenanceOptions(database_url))
    assert await people(matcher) == {"both": 1, "faceless": 0, "staying": 1}
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM facerec.face") == 2
    await connection.close()
    assert await centroid_error(database_url) < 1e-6


async def test_a_retention_erases_older_faces(matcher: RunningMatcher, database_url: str) -> None:
    old, new = (encoding(vector) for vector in vectors(2))
    await matcher.stub.Enroll(enroll("ann", old))
    await run(database_url, f"UPDATE facerec.{FACES} SET create_time = now() - interval '2 days'")
    await matcher.stub.Enroll(enroll("ann", new))
    await matcher.stub.Enroll(enroll("ben", new))
    await runner.run_once(MaintenanceOptions(database_url))
    assert await people(matcher) == {"ann": 2, "ben": 1}
    for retention, left in (("3 days", {"ann": 2, "ben": 1}), ("1 day", {"ann": 1, "ben": 1})):
        await run(database_url, f"UPDATE facerec.collection SET retention = interval '{retention}'")
        await runner.run_once(MaintenanceOptions(database_url))
        assert await people(matcher) == left
    assert await centroid_error(database_url) < 1e-6


async def test_a_collection_without_a_retention_is_not_scanned_for_old_faces(
    matcher: RunningMatcher, database_url: str
) -> None:
    """Postgres counts the scans of a table."""
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    scans = f"SELECT seq_scan FROM pg_stat_user_tables WHERE relname = '{FACES}'"
    async with connect(database_url) as connection:
        await connection.execute("SET enable_seqscan = off")  # a table of one row is not worth an index
        counts = []
        for retention in ("NULL", "interval '1 day'"):
            await connection.execute(f"UPDATE facerec.collection SET retention = {retention}")
            before = await connection.fetchval(scans)
            assert await erase_expired(connection, "default") == (0, 0)
            await connection.execute("SELECT pg_stat_force_next_flush()")
            counts.append(await connection.fetchval(scans) - before)
    assert counts == [0, 1]


async def test_a_locked_person_is_left_for_the_next_run(matcher: RunningMatcher, database_url: str) -> None:
    soon = datetime.datetime.now(datetime.UTC) + HOUR
    for name in ("ann", "ben"):
        await matcher.stub.Enroll(enroll(name, encoding(vectors(1)[0]), expire_time=soon))
    await run(database_url, f"UPDATE facerec.{FACES} SET expire_time = now() - interval '1 s'")
    other = await asyncpg.connect(database_url)
    held = other.transaction()
    await held.start()
    await other.execute(f"SELECT FROM facerec.{PERSONS} WHERE person_id = 'ann' FOR UPDATE")
    await runner.run_once(MaintenanceOptions(database_url))
    assert set(await people(matcher)) == {"ann"}
    await held.rollback()
    await other.close()
    await runner.run_once(MaintenanceOptions(database_url))
    assert await people(matcher) == {}
