"""Faces in bulk: none is lost or stored twice, invalid rows are reported, and exports equal the import."""

import asyncio
import uuid

import asyncpg
import grpc.aio
import numpy as np
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import transfer_pb2
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import (
    LOCKED,
    Request,
    chunk,
    connections,
    export,
    exported,
    header,
    people,
    send,
    unread,
)
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import until


async def test_imported_faces_are_found_and_exported(matcher: RunningMatcher) -> None:
    faces, names = vectors(600), people(600)
    answer = await send(matcher, header(), chunk(faces[:350], names[:350]), chunk(faces[350:], names[350:]))
    assert (answer.faces_added, answer.persons_added, answer.next_row) == (600, 300, 600)
    for index in (0, 349, 350, 599):
        found = await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(faces[index])]))
        assert found.faces[0].candidates[0].person_id == names[index]
    came_out, out = exported(await export(matcher))
    assert came_out == sorted(names)
    went_in = sorted(zip(names, faces.tolist(), strict=True))
    assert sorted(zip(came_out, out.tolist(), strict=True)) == went_in


async def test_the_means_of_new_and_existing_people_are_right(
    matcher: RunningMatcher, database_url: str
) -> None:
    faces = vectors(30)
    await matcher.stub.Enroll(enroll("p0", encoding(faces[0])))
    names = [f"p{index % 3}" for index in range(1, 30)]
    await send(matcher, header(), chunk(faces[1:15], names[:14]), chunk(faces[15:], names[14:]))
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            f"SELECT person_id, centroid::text FROM facerec.{partition_name('person', 'default')}"
        )
    finally:
        await connection.close()
    means = {row["person_id"]: np.array(row["centroid"][1:-1].split(","), np.float32) for row in rows}
    for person in range(3):
        assert np.allclose(means[f"p{person}"], faces[person::3].mean(axis=0), atol=1e-6)


async def test_the_same_face_is_stored_once_per_person(matcher: RunningMatcher) -> None:
    faces = vectors(4)
    twice = np.concatenate([faces, faces])
    names = ["ann", "ann", "bob", "bob", "ann", "ann", "ann", "bob"]
    answer = await send(matcher, header(), chunk(twice, names))
    assert (answer.faces_added, answer.faces_already_there) == (5, 3)
    again = await send(matcher, header("second"), chunk(twice, names))
    assert (again.faces_added, again.faces_already_there, again.persons_added) == (0, 8, 0)
    enrolled = await matcher.stub.Enroll(enroll("ann", encoding(faces[0])))
    assert enrolled.faces[0].already_enrolled


async def test_an_import_of_existing_faces_changes_nobody(matcher: RunningMatcher) -> None:
    faces, names = vectors(4), ["ann", "ann", "bob", "bob"]
    await send(matcher, header(), chunk(faces, names, display_names=["A", "Ann", "", "Bob"]))

    async def persons() -> list[pb.Person]:
        return list((await matcher.stub.ListPersons(pb.ListPersonsRequest())).persons)

    ann, bob = await persons()
    assert (ann.display_name, bob.display_name) == ("Ann", "Bob")
    for number, given in enumerate(([], ["Ann", "A", "", "Bob"])):
        answer = await send(matcher, header(f"again{number}"), chunk(faces, names, display_names=given))
        assert (answer.faces_added, answer.faces_already_there) == (0, 4)
        assert await persons() == [ann, bob]
    await send(matcher, header("name"), chunk(faces, names, display_names=["", "", "Rob", ""]))
    same, renamed = await persons()
    assert (same, renamed.display_name) == (ann, "Rob")
    assert renamed.update_time.ToDatetime() > bob.update_time.ToDatetime()
    new = np.concatenate([faces[:3], vectors(5)[4:]])
    assert (await send(matcher, header("face"), chunk(new, names))).faces_added == 1
    same, grown = await persons()
    assert (same, grown.face_count) == (ann, 3)
    assert grown.update_time.ToDatetime() > renamed.update_time.ToDatetime()


async def test_invalid_rows_are_reported_and_the_others_imported(
    matcher: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    faces = vectors(7)
    faces[1, 7] = np.nan
    faces[2, 0] = np.inf
    faces[6, 127] = -1001
    names = ["ann", "ann", "ann", " space", "x" * 129, "bob", "ann"]
    references = ["", "", "", "", "", "r" * 257, ""]
    fingerprints = ["", "", "", "photo of Ann", "", "cpu", ""]  # of refused rows none is kept
    columns = {"external_refs": references, "fingerprints": fingerprints}
    answer = await send(matcher, header(), chunk(faces, names, **columns))
    assert [(row.row, row.field) for row in answer.refused] == [
        (1, "encodings"), (2, "encodings"), (3, "fingerprints"), (4, "person_ids"), (5, "external_refs"),
        (6, "encodings"),
    ]  # fmt: skip
    assert "from -1000 to 1000" in answer.refused[-1].message
    assert (answer.faces_added, answer.rows_refused, answer.next_row) == (1, 6, 7)
    progress = await matcher.stub.GetImport(transfer_pb2.GetImportRequest(import_id="first"))
    assert (progress.next_row, progress.rows_refused, progress.faces_added) == (7, 6, 1)
    models = await administrator.fetch("SELECT fingerprint FROM facerec.model")
    assert [row["fingerprint"] for row in models] == [""]


async def test_a_dry_run_reports_the_result_and_writes_nothing(matcher: RunningMatcher) -> None:
    faces = vectors(4)
    await matcher.stub.Enroll(enroll("ann", encoding(faces[0])))
    answer = await send(matcher, header(dry_run=True), chunk(faces, ["ann", "ann", "bob", "bob"]))
    assert (answer.faces_added, answer.faces_already_there, answer.persons_added) == (3, 1, 1)
    assert exported(await export(matcher))[0] == ["ann"]
    progress = await matcher.stub.GetImport(transfer_pb2.GetImportRequest(import_id="first"))
    assert progress.next_row == 0


async def test_an_import_continues_where_it_was_interrupted(matcher: RunningMatcher) -> None:
    faces, names = vectors(100), people(100)

    async def cut_short() -> object:
        yield header()
        yield chunk(faces[:40], names[:40])
        await until(is_in)
        raise RuntimeError("the client dies")

    async def is_in() -> bool:
        asked = transfer_pb2.GetImportRequest(import_id="first")
        return bool((await matcher.stub.GetImport(asked)).next_row == 40)

    with pytest.raises((RuntimeError, grpc.aio.AioRpcError, asyncio.CancelledError)):
        await matcher.stub.ImportFaces(cut_short())
    progress = await matcher.stub.GetImport(transfer_pb2.GetImportRequest(import_id="first"))
    assert progress.next_row == 40
    with refused(Reason.OPTION_INVALID, "header.first_row", "continues at row 40"):
        await send(matcher, header(), chunk(faces, names))
    answer = await send(matcher, header(first_row=40), chunk(faces[40:], names[40:]))
    assert (answer.faces_added, answer.next_row) == (60, 100)
    assert exported(await export(matcher))[0] == sorted(names)


async def test_concurrent_calls_of_one_import_store_nothing_twice(matcher: RunningMatcher) -> None:
    faces, names = vectors(200), people(200)

    async def attempt() -> int:
        try:
            return int((await send(matcher, header(), chunk(faces, names))).faces_added)
        except Exception:
            return 0

    assert sum(await asyncio.gather(attempt(), attempt())) == 200
    assert len(exported(await export(matcher))[0]) == 200


async def test_an_invalid_import_is_refused_by_its_field(matcher: RunningMatcher) -> None:
    faces = vectors(2)
    cases = [
        ([chunk(faces, ["a", "b"])], Reason.OPTION_INVALID, "header"),
        ([header(), header()], Reason.OPTION_INVALID, "chunk"),
        ([header(import_id="")], Reason.ID_INVALID, "header.import_id"),
        ([header(space="")], Reason.ENCODING_INVALID, "header.space"),
        ([header(space="another/space")], Reason.MODEL_MISMATCH, "header.space"),
        ([header(collection_id="nowhere")], Reason.COLLECTION_NOT_FOUND, "collection_id"),
        ([header(), chunk(faces, ["a"])], Reason.ENCODING_INVALID, "chunk.encodings"),
        ([header(), chunk(faces[:0], [])], Reason.OPTION_INVALID, "chunk.person_ids"),
        ([header(first_row=2**32 - 1), chunk(faces, ["a", "b"])], Reason.OPTION_INVALID, "header.first_row"),
        (
            [header(first_row=2**32 - 2, dry_run=True), chunk(faces, ["a", "b"])],
            Reason.OPTION_INVALID,
            "header.first_row",
        ),
        (
            [header(), chunk(faces, ["a", "b"], external_refs=[""])],
            Reason.OPTION_INVALID,
            "chunk.external_refs",
        ),
        (
            [header(), chunk(vectors(65), ["a"] * 65, fingerprints=[f"model={n}" for n in range(65)])],
            Reason.ENCODING_INVALID,
            "chunk.fingerprints",
        ),
    ]  # fmt: skip
    for requests, reason, field in cases:
        with refused(reason, field):
            await send(matcher, *requests)
    assert not await export(matcher)


async def test_an_import_waits_for_an_export_that_has_the_only_connection(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url, transfer_pool_size=1, export_timeout_seconds=2)
    faces, names = vectors(8000), [f"p{index:05}" for index in range(8000)]
    await send(matcher, header(), chunk(faces, names))
    call = await unread(matcher)
    answer = await send(matcher, header("second"), chunk(vectors(2, seed=1), ["ann", "bob"]))
    assert answer.faces_added == 2
    call.cancel()


async def test_imports_that_send_nothing_hold_no_connection(matcher: RunningMatcher) -> None:
    for collection_id in ("a", "b", "c"):
        await matcher.collections.CreateCollection(pb.CreateCollectionRequest(collection_id=collection_id))
    faces, end = vectors(20), asyncio.Event()

    async def idle(*requests: Request) -> object:
        for request in requests:
            yield request
        await end.wait()

    calls = [
        asyncio.ensure_future(matcher.stub.ImportFaces(idle(*requests)))
        for requests in [
            [header("header", collection_id="a")],
            [header("header", collection_id="b")],
            [header("chunk", collection_id="a"), chunk(faces[:10], people(10))],
            [header("chunk", collection_id="b"), chunk(faces[:10], people(10))],
        ]
    ]
    for collection_id in ("a", "b"):
        asked = transfer_pb2.GetImportRequest(collection_id=collection_id, import_id="chunk")
        while not (await matcher.stub.GetImport(asked)).next_row:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    answer = await send(matcher, header(collection_id="c"), chunk(faces, people(20)))
    assert answer.faces_added == 20
    assert exported(await export(matcher, "c"))[0] == people(20)
    assert not any(call.done() for call in calls)
    end.set()
    assert [(await call).next_row for call in calls] == [0, 0, 10, 10]


async def test_a_chunk_beyond_the_limit_is_refused_and_succeeds_later(
    start_matcher: StartMatcher, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matcher_service.postgres.permits.BULK_WAIT_SECONDS", 0.2)
    matcher = await start_matcher(database_url, transfer_pool_size=1, lock_timeout_seconds=60)
    faces = vectors(2)
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("INSERT INTO facerec.face_import VALUES ('default', 'first')")
            held = asyncio.ensure_future(send(matcher, header(), chunk(faces, ["a", "b"])))
            while not await connections(database_url, LOCKED):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            with refused(Reason.OVERLOADED, message="too many concurrent imports and deletions"):
                await send(matcher, header("second"), chunk(faces, ["c", "d"]))
    finally:
        await connection.close()
    assert (await held).faces_added == 2
    assert (await send(matcher, header("second"), chunk(faces, ["c", "d"]))).faces_added == 2


async def test_an_import_whose_collection_is_deleted_fails_as_not_found(
    matcher: RunningMatcher, database_url: str
) -> None:
    await matcher.collections.CreateCollection(pb.CreateCollectionRequest(collection_id="staff"))
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT facerec.delete_collection('staff')")
            requests = (header(collection_id="staff"), chunk(vectors(1), ["ann"]))
            sending = asyncio.create_task(send(matcher, *requests))
            while not await connections(database_url, LOCKED):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        await connection.close()
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await sending


async def test_an_import_is_deleted_with_its_collection(matcher: RunningMatcher, database_url: str) -> None:
    await matcher.collections.CreateCollection(pb.CreateCollectionRequest(collection_id="staff"))
    await send(matcher, header(collection_id="staff"), chunk(vectors(1), ["ann"]))
    await matcher.collections.DeleteCollection(pb.DeleteCollectionRequest(collection_id="staff", force=True))
    connection = await asyncpg.connect(database_url)
    try:
        assert not await connection.fetch("SELECT FROM facerec.face_import")
    finally:
        await connection.close()
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await matcher.stub.GetImport(
            transfer_pb2.GetImportRequest(collection_id="staff", import_id=str(uuid.uuid4()))
        )
