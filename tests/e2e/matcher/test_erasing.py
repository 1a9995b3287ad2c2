"""After an erasure no call sees the person, and its receipt says how far it has come."""

import asyncio
import uuid
from urllib.parse import urlsplit

import asyncpg
import numpy as np
import numpy.typing as npt
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import erasure_pb2, transfer_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.maintenance import runner, scrubbing
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres.connections.owner import connect
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.matcher import RunningMatcher
from tests.fixtures.postgres import PostgresServer, as_user

State = erasure_pb2
TABLES = [partition_name(parent, "default") for parent in ("person", "face", "enroll_request")]
WAITING = "SELECT waiting FROM facerec.maintenance WHERE step = 'keep'"
Vectors = npt.NDArray[np.float32]


async def get(matcher: RunningMatcher, erasure_id: str) -> erasure_pb2.GetErasureResponse:
    request = erasure_pb2.GetErasureRequest(erasure_id=erasure_id)
    found: erasure_pb2.GetErasureResponse = await matcher.stub.GetErasure(request)
    return found


async def test_a_receipt_says_pending_then_vacuumed_then_scrubbed(
    matcher: RunningMatcher, database_url: str
) -> None:
    faces = vectors(3)
    await matcher.stub.Enroll(enroll("ann", *map(encoding, faces)))
    receipt = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
    assert (receipt.persons_deleted, receipt.faces_deleted) == (1, 3)
    pending = await get(matcher, receipt.erasure_id)
    assert (pending.state, pending.persons_deleted, pending.faces_deleted) == (
        State.ERASURE_STATE_PENDING,
        1,
        3,
    )
    assert not pending.HasField("vacuum_time")
    await runner.run_once(MaintenanceOptions(database_url))
    assert (await get(matcher, receipt.erasure_id)).state == State.ERASURE_STATE_VACUUMED
    await runner.run_once(MaintenanceOptions(database_url, scrub=True))
    done = await get(matcher, receipt.erasure_id)
    assert done.state == State.ERASURE_STATE_SCRUBBED
    assert done.delete_time.ToDatetime() <= done.vacuum_time.ToDatetime() <= done.scrub_time.ToDatetime()


async def test_an_erased_face_has_a_receipt_and_an_erasure_of_nothing_has_none(
    matcher: RunningMatcher,
) -> None:
    enrolled = await matcher.stub.Enroll(enroll("ann", *map(encoding, vectors(2))))
    face_id = enrolled.faces[0].face.face_id
    receipt = await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=face_id))
    found = await get(matcher, receipt.erasure_id)
    assert (found.persons_deleted, found.faces_deleted) == (0, 1)
    again = await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=face_id))
    assert (again.faces_deleted, again.erasure_id) == (0, "")
    nobody = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="nobody"))
    assert (nobody.persons_deleted, nobody.erasure_id) == (0, "")
    with refused(Reason.ERASURE_NOT_FOUND, "erasure_id"):
        await get(matcher, str(uuid.uuid4()))
    with refused(Reason.ID_INVALID, "erasure_id"):
        await get(matcher, "no id")


async def test_rows_that_an_older_snapshot_sees_keep_an_erasure_pending(
    matcher: RunningMatcher, database_url: str
) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
    reader = await asyncpg.connect(database_url)
    try:
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            await reader.fetch("SELECT 1 FROM facerec.collection")
            receipt = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
            await runner.run_once(MaintenanceOptions(database_url))
            await runner.run_once(MaintenanceOptions(database_url))
            assert (await get(matcher, receipt.erasure_id)).state == State.ERASURE_STATE_PENDING
    finally:
        await reader.close()
    await runner.run_once(MaintenanceOptions(database_url))
    assert (await get(matcher, receipt.erasure_id)).state == State.ERASURE_STATE_VACUUMED


async def test_a_row_on_a_page_that_is_being_read_keeps_an_erasure_pending(
    matcher: RunningMatcher, database_url: str
) -> None:
    """The reader's snapshot is of after the erasure: what is in the way is that its cursor holds the page."""
    for name, face in zip(("ann", "ben"), vectors(2), strict=True):
        await matcher.stub.Enroll(enroll(name, encoding(face)))
    receipt = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ben"))
    reader = await asyncpg.connect(database_url)
    try:
        async with reader.transaction():
            await reader.execute(f"DECLARE resting CURSOR FOR SELECT 1 FROM facerec.{TABLES[1]}")
            await reader.execute("FETCH 1 FROM resting")
            await runner.run_once(MaintenanceOptions(database_url))
            assert (await get(matcher, receipt.erasure_id)).state == State.ERASURE_STATE_PENDING
    finally:
        await reader.close()
    await runner.run_once(MaintenanceOptions(database_url))
    assert (await get(matcher, receipt.erasure_id)).state == State.ERASURE_STATE_VACUUMED


async def test_the_vacuum_report_is_requested_in_english_if_the_login_may(
    database_url: str, postgres_server: PostgresServer
) -> None:
    database = urlsplit(database_url).path.removeprefix("/")
    await asyncio.to_thread(
        postgres_server.execute,
        f"ALTER DATABASE {database} SET lc_messages = 'POSIX'",
        "DROP ROLE IF EXISTS plain_maintainer",
        "CREATE ROLE plain_maintainer LOGIN",
        "GRANT facerec_owner TO plain_maintainer",
    )
    for url, expected in ((database_url, "C"), (as_user(database_url, "plain_maintainer"), "POSIX")):
        async with connect(url) as connection:
            assert await connection.fetchval("SHOW lc_messages") == expected
    await asyncio.to_thread(postgres_server.execute, "DROP ROLE plain_maintainer")


@pytest.mark.parametrize("begun", ["before", "after"])
async def test_a_scrub_blocked_by_a_reader_keeps_the_index(
    matcher: RunningMatcher, database_url: str, monkeypatch: pytest.MonkeyPatch, begun: str
) -> None:
    """A transaction from before the erasure, or one from after it that reads the collection itself."""
    monkeypatch.setattr(scrubbing, "YOUNG_SECONDS", 0.2)
    monkeypatch.setattr(scrubbing, "TRY_SECONDS", 0.2)
    policy = pb.CollectionSettings(search=pb.SearchPolicy(index_above_faces=1000))
    await matcher.collections.UpdateCollection(pb.UpdateCollectionRequest(settings=policy))
    names = [f"p{place}" for place in range(1200)]
    await send(matcher, header(), chunk(vectors(len(names)), names))
    await runner.run_once(MaintenanceOptions(database_url))

    async def index_is_ready() -> bool:
        ready: bool = (
            await matcher.collections.GetCollection(pb.GetCollectionRequest())
        ).collection.index.ready
        return ready

    reader = await asyncpg.connect(database_url)
    try:
        if begun == "before":
            await reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            await reader.fetch("SELECT 1 FROM facerec.model")
        receipt = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="p7"))
        if begun == "after":
            await reader.execute("BEGIN")
            await reader.fetch(f"SELECT 1 FROM facerec.{TABLES[1]} LIMIT 1")
        await asyncio.sleep(0.3)
        await runner.run_once(MaintenanceOptions(database_url, scrub=True))
        assert await index_is_ready()
    finally:
        await reader.close()
    await runner.run_once(MaintenanceOptions(database_url, scrub=True))
    assert (await get(matcher, receipt.erasure_id)).state == State.ERASURE_STATE_SCRUBBED
    assert await index_is_ready()


async def everything(url: str) -> str:
    """Every row of every table of ours, as text."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'facerec' AND c.relkind = 'r'"
        )
        rows = [await connection.fetch(f"SELECT t::text FROM facerec.{row['relname']} t") for row in tables]
    finally:
        await connection.close()
    return "\n".join(row[0] for each in rows for row in each)


def pieces(faces: Vectors) -> list[bytes]:
    """A recognizable part of each vector as an export has it."""
    return [face.astype("<f4").tobytes()[64:128] for face in faces]


async def test_an_erased_person_is_in_no_answer_no_export_and_no_row(
    matcher: RunningMatcher, database_url: str
) -> None:
    people = 600
    faces = vectors(2 * people)
    names = [f"person-{place // 2:05}-x" for place in range(2 * people)]
    await send(matcher, header(), chunk(faces, names))
    gone = sorted(set(names))[::20]
    for name in gone:
        first = encoding(faces[names.index(name)])
        await matcher.stub.Enroll(enroll(name, first, request_id=f"enroll {name}"))
    erased = np.array([name in set(gone) for name in names])
    ids = [face.face_id for name in gone for face in await stored(matcher, name)]
    assert len(ids) == erased.sum()
    for name in gone:
        await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id=name))
    await runner.run_once(MaintenanceOptions(database_url))
    await assert_unseen(matcher, database_url, gone, ids, faces[erased])


@pytest.mark.parametrize("owns_database", [False, True])
async def test_a_scrub_is_complete_only_if_the_login_may_rewrite_the_statistics(
    matcher: RunningMatcher,
    administrator: asyncpg.Connection,
    database_url: str,
    postgres_server: PostgresServer,
    owns_database: bool,
) -> None:
    database = urlsplit(database_url).path.removeprefix("/")
    login = f"scrubber_{database}"
    make = [f"CREATE ROLE {login} LOGIN IN ROLE facerec_owner", f"GRANT pg_read_all_stats TO {login}"]
    # Only the owner of a database may VACUUM its catalogs.
    make += [f"ALTER DATABASE {database} OWNER TO {login}"] if owns_database else []
    await asyncio.to_thread(postgres_server.execute, *make)
    try:
        await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])))
        receipt = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
        await runner.run_once(MaintenanceOptions(as_user(database_url, login), scrub=True))
        state = (await get(matcher, receipt.erasure_id)).state
        whole, part = State.ERASURE_STATE_SCRUBBED, State.ERASURE_STATE_VACUUMED
        assert state == (whole if owns_database else part)
        assert await administrator.fetchval(WAITING) == (0 if owns_database else 1)
        await runner.run_once(MaintenanceOptions(database_url, scrub=True))
        assert (await get(matcher, receipt.erasure_id)).state == whole
        assert await administrator.fetchval(WAITING) == 0
    finally:
        give_back = f"ALTER DATABASE {database} OWNER TO postgres"
        await asyncio.to_thread(postgres_server.execute, give_back, f"DROP ROLE {login}")


@pytest.mark.parametrize("what", ["columns", "extended"])
async def test_a_scrub_is_incomplete_while_statistics_of_persons_are_collected(
    matcher: RunningMatcher, database_url: str, what: str
) -> None:
    await send(matcher, header(), chunk(vectors(200), [f"p{n}" for n in range(200)]))
    collect = {
        "columns": f"ALTER TABLE facerec.{TABLES[0]} ALTER COLUMN person_id SET STATISTICS 100",
        "extended": f"CREATE STATISTICS facerec.mine ON (person_id || 'x') FROM facerec.{TABLES[0]}",
    }
    fix = {
        "columns": "ALTER TABLE facerec.person ALTER COLUMN person_id SET STATISTICS 0,"
        ' ALTER COLUMN person_id TYPE text COLLATE "C"',
        "extended": "DROP STATISTICS facerec.mine",
    }
    administrator = await asyncpg.connect(database_url)
    try:
        await administrator.execute(collect[what])
        await administrator.execute(f"ANALYZE facerec.{TABLES[0]}")
        receipt = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="p7"))
        await runner.run_once(MaintenanceOptions(database_url, scrub=True))
        assert (await get(matcher, receipt.erasure_id)).state == State.ERASURE_STATE_VACUUMED
        await administrator.execute(fix[what])
        await runner.run_once(MaintenanceOptions(database_url, scrub=True))
        assert (await get(matcher, receipt.erasure_id)).state == State.ERASURE_STATE_SCRUBBED
    finally:
        await administrator.close()


async def stored(matcher: RunningMatcher, person_id: str) -> list[pb.Face]:
    answer = await matcher.stub.ListFaces(pb.ListFacesRequest(person_id=person_id))
    return list(answer.faces)


async def assert_unseen(
    matcher: RunningMatcher, url: str, gone: list[str], ids: list[str], faces: Vectors
) -> None:
    """No call, export or row of any table shows them."""
    page, listed = "", set()
    while True:
        answer = await matcher.stub.ListPersons(pb.ListPersonsRequest(page_size=1000, page_token=page))
        listed |= {person.person_id for person in answer.persons}
        page = answer.next_page_token
        if not page:
            break
    parts = [part async for part in matcher.stub.ExportFaces(transfer_pb2.ExportFacesRequest())]
    listed |= {name for part in parts for name in part.chunk.person_ids}
    assert not listed & set(gone)
    wire = b"".join(part.chunk.encodings for part in parts)
    assert not [piece for piece in pieces(faces) if piece in wire]
    for name in gone[:5]:
        with refused(Reason.PERSON_NOT_FOUND, "person_id"):
            await matcher.stub.GetPerson(pb.GetPersonRequest(person_id=name))
        with refused(Reason.PERSON_NOT_FOUND, "person_id"):
            await matcher.stub.Verify(pb.VerifyRequest(person_id=name, probe=encoding(faces[0])))
    for face in faces[:10]:
        found = await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(face)], max_distance=4))
        assert not {c.person_id for c in found.faces[0].candidates} & set(gone)
    rows = await everything(url)
    assert not [text for text in (*gone, *ids) if text in rows]
