"""Exports read one snapshot, page by page, and end if nobody reads them."""

import asyncio
from contextlib import aclosing, closing
from typing import Any

import asyncpg
import grpc.aio
import numpy as np
import pytest

from facerec.client import AsyncMatcherClient, MatcherClient
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc, transfer_pb2
from matcher_service.postgres.statements import partition_name
from matcher_service.transfer import exporter
from matcher_service.transfer.exporter import EXPORT_FACES
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import (
    Vectors,
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
from tests.fixtures.waiting import LIMIT_SECONDS, until


async def test_an_export_reads_one_snapshot_and_blocks_nobody(matcher: RunningMatcher) -> None:
    faces, names = vectors(4000), [f"p{index:05}" for index in range(4000)]
    await send(matcher, header(), chunk(faces, names))
    call = aiter(matcher.stub.ExportFaces(transfer_pb2.ExportFacesRequest()))
    first = await anext(call)
    assert first.chunk.person_ids[0] == names[0]
    erased = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id=names[-1]))
    assert erased.faces_deleted == 1
    await matcher.stub.Enroll(enroll("zed", encoding(vectors(1, seed=9)[0])))
    rest = [part async for part in call]
    assert exported([first, *rest])[0] == names
    later = exported(await export(matcher))[0]
    assert later == [*names[:-1], "zed"]


async def stored(database_url: str) -> list[str]:
    """The references of all faces that stand, by person and age."""
    face, person = partition_name("face", "default"), partition_name("person", "default")
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch(
            f"SELECT f.external_ref FROM facerec.{face} f JOIN facerec.{person} p USING (person_key)"
            " WHERE f.expire_time > now() ORDER BY p.person_id, f.create_time, f.face_id"
        )
    finally:
        await connection.close()
    return [row["external_ref"] for row in rows]


async def check_export(matcher: RunningMatcher, database_url: str, faces: Vectors, most: int) -> int:
    """Hold an export against the database and the imported faces; returns how many messages it took."""
    parts = await export(matcher)
    assert all(0 < len(part.chunk.person_ids) <= most for part in parts)
    refs = [ref for part in parts for ref in part.chunk.external_refs]
    assert refs == await stored(database_url)
    assert np.array_equal(exported(parts)[1], faces[[int(ref) for ref in refs]])
    return len(parts)


async def test_a_person_with_thousands_of_faces_is_exported_page_by_page(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url, max_faces_per_person=6000)
    names = [*people(100), *["p00024x"] * 6000, *people(100)]
    faces = vectors(len(names))
    faces[100:6100] = faces[100] + 0.01 * faces[100:6100]  # as the photos of one person are
    await send(matcher, header(), chunk(faces, names, external_refs=list(map(str, range(len(names))))))
    assert await check_export(matcher, database_url, faces, EXPORT_FACES) == 4


@pytest.mark.parametrize("page", [1, 2, 3, 5])
async def test_pages_may_end_anywhere(
    matcher: RunningMatcher, database_url: str, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matcher_service.transfer.exporter.EXPORT_FACES", page)
    assert not await export(matcher)
    names = ["a"] * 4 + ["b", "c"] + ["d"] * 5 + ["e", "f", "f"]
    faces = vectors(len(names))
    await send(matcher, header(), chunk(faces, names, external_refs=list(map(str, range(len(names))))))
    connection = await asyncpg.connect(database_url)
    try:  # whose face has expired has none
        await connection.execute(
            f"UPDATE facerec.{partition_name('face', 'default')} SET expire_time = now()"
            " WHERE external_ref IN ('3', '4', '5', '8', '13')"
        )
    finally:
        await connection.close()
    assert len(await stored(database_url)) == 9
    await check_export(matcher, database_url, faces, page)


async def test_a_default_grpc_client_reads_an_export_with_texts_of_maximum_length(
    matcher: RunningMatcher,
) -> None:
    names = [f"{index:04}".ljust(128, "\N{GRINNING FACE}") for index in range(2000)]
    text, faces = 256 * "\N{GRINNING FACE}", vectors(2000)
    columns = {
        "display_names": [text] * 2000,
        "external_refs": [text] * 2000,
        "fingerprints": ["f" * 256] * 2000,
    }
    for first in range(0, 2000, 500):
        last = first + 500
        part = {name: values[first:last] for name, values in columns.items()}
        await send(matcher, header(f"from {first}"), chunk(faces[first:last], names[first:last], **part))
    parts = await export(matcher)  # over a channel without an option, which takes 4 MiB a message
    assert exported(parts)[0] == names
    assert np.array_equal(exported(parts)[1], faces)
    assert all(part.ByteSize() <= exporter.EXPORT_BYTES + len(part.space) + 16 for part in parts)


async def fill(matcher: RunningMatcher) -> list[str]:
    """Import more faces than a connection takes in unread, 16 MB at the most; their people, in order."""
    faces, names = vectors(30_000), [f"p{index:05}" for index in range(30_000)]
    parts = [
        chunk(faces[first : first + 10_000], names[first : first + 10_000])
        for first in range(0, len(names), 10_000)
    ]
    await send(matcher, header(), *parts)
    return names


async def test_an_export_that_nobody_reads_ends_in_time_and_says_so(
    start_matcher: StartMatcher, database_url: str
) -> None:
    patient = await start_matcher(database_url)
    matcher = await start_matcher(database_url, export_timeout_seconds=1)
    names = await fill(matcher)
    call = await unread(matcher)
    await let_go(database_url)
    assert exported(await export(patient))[0] == names
    with refused(Reason.OVERLOADED, message="read it faster, or raise export_timeout_seconds"):
        async for part in call:
            assert part.chunk.person_ids[0] in names


async def test_its_reader_gets_the_error_however_little_is_sent_ahead(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url, export_timeout_seconds=1)
    names = await fill(matcher)
    options = [("grpc.http2.bdp_probe", 0)]  # so that an answer is half written when the export ends
    async with grpc.aio.insecure_channel(matcher.address, options=options) as channel:
        stub: Any = matcher_pb2_grpc.MatcherServiceStub(channel)
        call = stub.ExportFaces(transfer_pb2.ExportFacesRequest(), timeout=LIMIT_SECONDS)
        await call.initial_metadata()
        await let_go(database_url)
        with refused(Reason.OVERLOADED, message="read it faster, or raise export_timeout_seconds"):
            async for part in call:
                assert part.chunk.person_ids[0] in names


async def let_go(database_url: str) -> None:
    """Wait until an export that has begun holds its snapshot no more."""

    async def is_free() -> bool:
        return not await connections(database_url, "xact_start IS NOT NULL")

    await until(is_free)


async def test_an_export_that_is_no_longer_read_gives_its_permit_back(
    start_matcher: StartMatcher, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual_seconds = exporter.STALLED_SECONDS
    monkeypatch.setattr(exporter, "STALLED_SECONDS", 0.5)
    matcher = await start_matcher(database_url)
    names = await fill(matcher)
    call = await unread(matcher)
    await let_go(database_url)
    with refused(Reason.OVERLOADED, message="the export was not read for 0.5 s"):
        async for _ in call:
            pass
    monkeypatch.setattr(exporter, "STALLED_SECONDS", usual_seconds)
    assert exported(await export(matcher))[0] == names


async def test_a_callers_second_export_is_refused_and_imports_go_on(matcher: RunningMatcher) -> None:
    await fill(matcher)
    call = await unread(matcher)
    with refused(Reason.OVERLOADED, message="too many concurrent exports"):
        await export(matcher)
    answer = await send(matcher, header("second"), chunk(vectors(2, seed=1), ["ann", "bob"]))
    assert answer.faces_added == 2
    call.cancel()


async def test_an_export_whose_loop_is_left_ends_at_once(matcher: RunningMatcher, database_url: str) -> None:
    names = await fill(matcher)
    async with AsyncMatcherClient(matcher.address) as client:
        async for batch in client.export_faces():
            assert batch.person_ids[0] == names[0]
            break
        await let_go(database_url)

        async def read(began: asyncio.Event) -> None:
            async for _ in client.export_faces():
                began.set()
                await asyncio.Event().wait()

        began = asyncio.Event()
        reading = asyncio.create_task(read(began))
        await began.wait()
        reading.cancel()
        await asyncio.wait([reading])
        await let_go(database_url)
        async with aclosing(client.export_faces()) as batches:
            kept = batches
            assert (await anext(batches)).person_ids[0] == names[0]
        await let_go(database_url)
        assert [batch async for batch in kept] == []


async def test_a_blocking_export_whose_loop_is_left_ends_at_once(
    matcher: RunningMatcher, database_url: str
) -> None:
    names = await fill(matcher)

    def leave(client: MatcherClient) -> Any:
        with closing(client.export_faces()) as batches:
            assert next(batches).person_ids[0] == names[0]
        return batches

    with MatcherClient(matcher.address) as client:
        left = await asyncio.to_thread(leave, client)
        await let_go(database_url)
        assert list(left) == []
