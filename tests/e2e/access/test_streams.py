"""Calls that last, and messages that do not come: who is let in is looked at before and all along."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc.aio
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import transfer_pb2
from facerec.serving.access import files
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.test_transfer import chunk, header
from tests.fixtures.http2 import Dripping
from tests.fixtures.matcher import RunningMatcher, StartMatcher

WriteKeys = Callable[..., Path]
VERIFY = "/facerec.matcher.v1.MatcherService/Verify"
ADMIN = entry("admin", "a", ["admin"])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "POLL_SECONDS", 0.05)


def port(matcher: RunningMatcher) -> int:
    return int(matcher.address.rpartition(":")[2])


@pytest.mark.parametrize("authorization", ["", "Bearer b", "Bearer c"])  # none, unknown, of another role
async def test_whoever_is_not_let_in_hears_so_before_anything_of_a_message_is_read(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys, authorization: str
) -> None:
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, entry("other", "c", ["manage"])))
    dripping = await Dripping.open(port(matcher))
    try:
        for stream in range(1, 100, 2):
            dripping.begin(stream, VERIFY, authorization)
            await dripping.ended(stream)
    finally:
        dripping.close()


async def test_a_stream_ends_with_its_callers_key(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    importer = entry("importer", "b", ["enroll"])
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, importer))
    sent = asyncio.Event()

    async def then_nothing() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header()
        yield chunk(vectors(2), ["ann", "bob"])
        sent.set()
        await asyncio.sleep(30)

    call = asyncio.ensure_future(matcher.stub.ImportFaces(then_nothing(), metadata=bearer("b")))
    await sent.wait()
    await asyncio.sleep(0.3)
    assert not call.done()
    keys_file(ADMIN)
    began = time.monotonic()
    with refused(Reason.KEY_UNKNOWN, message="is not known here any more"):
        await call
    assert time.monotonic() - began < 5


async def test_a_stream_ends_when_its_caller_may_not_do_it_any_more(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    matcher = await start_matcher(
        database_url, keys_file=keys_file(ADMIN, entry("importer", "b", ["enroll"]))
    )

    async def header_alone() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header()
        keys_file(ADMIN, entry("importer", "b", ["verify"]))
        await asyncio.sleep(30)

    with refused(Reason.NOT_PERMITTED):
        await matcher.stub.ImportFaces(header_alone(), metadata=bearer("b"))


async def test_an_export_ends_with_its_callers_key(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    faces = vectors(40_000)  # more than the connection takes in unread
    exporter = entry("exporter", "b", ["admin"])
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, exporter))
    parts = [
        chunk(faces[first : first + 10_000], [f"p{place}" for place in range(first, first + 10_000)])
        for first in range(0, len(faces), 10_000)
    ]
    await matcher.stub.ImportFaces(iter([header(), *parts]), metadata=bearer("a"))
    call = matcher.stub.ExportFaces(transfer_pb2.ExportFacesRequest(), metadata=bearer("b"))
    assert await call.read()
    keys_file(ADMIN)
    await asyncio.sleep(1)
    read = 0
    with refused(Reason.KEY_UNKNOWN):
        while (part := await call.read()) is not grpc.aio.EOF:
            read += len(part.chunk.person_ids)
    assert read < len(faces)


async def test_a_rate_that_is_lowered_holds_for_a_stream_under_way(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    matcher = await start_matcher(
        database_url, keys_file=keys_file(ADMIN, entry("importer", "b", ["enroll"]))
    )
    times = []

    async def chunks() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header()
        yield chunk(vectors(1), ["ann"])
        keys_file(ADMIN, entry("importer", "b", ["enroll"], "calls_per_second = 4\nburst = 1"))
        await asyncio.sleep(0.5)
        times.append(time.monotonic())
        for number in range(1, 6):
            yield chunk(vectors(1, seed=number), ["ann"])

    answer = await matcher.stub.ImportFaces(chunks(), metadata=bearer("b"))
    assert answer.faces_added == 6
    assert time.monotonic() - times[0] > 0.9  # one at once, four at four a second


async def test_a_key_beside_is_not_disturbed(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, entry("x", "b", ["verify"])))

    async def slowly() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header()
        keys_file(ADMIN)
        await asyncio.sleep(0.5)
        yield chunk(vectors(1), ["ann"])

    assert (await matcher.stub.ImportFaces(slowly(), metadata=bearer("a"))).faces_added == 1
    await matcher.stub.Enroll(enroll("bob", encoding(vectors(1, seed=9)[0])), metadata=bearer("a"))
