"""Streams, and messages that arrive late: a caller's rights are checked at the start and throughout."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from facerec.client.failures import from_rpc_error
from facerec.client.sending import AsyncRequests
from facerec.errors import FacerecError, Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import transfer_pb2
from facerec.serving.auth import files
from facerec.serving.auth.errors import KeyUnknown
from facerec.serving.auth.key_store import KeyStore
from facerec.serving.observability.metrics import CALLS
from tests.benchmarks.vectors import Faces
from tests.e2e.access.conftest import bearer, entry, known
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures import dataset
from tests.fixtures.http2 import RawConnection
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import until

WriteKeys = Callable[..., Path]
VERIFY = "/facerec.matcher.v1.MatcherService/Verify"
ADMIN = entry("admin", "a", ["admin"])
FACES = 40_000  # more than a connection takes in of an export unread


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "POLL_SECONDS", 0.05)


def port(matcher: RunningMatcher) -> int:
    return int(matcher.address.rpartition(":")[2])


@pytest.mark.parametrize("authorization", ["", "Bearer b", "Bearer c"])  # none, unknown, of another role
async def test_a_caller_is_refused_before_its_message_is_read(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys, authorization: str
) -> None:
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, entry("other", "c", ["manage"])))
    raw = await RawConnection.open(port(matcher))
    try:
        for stream in range(1, 100, 2):
            raw.begin(stream, VERIFY, authorization)
            await raw.ended(stream)
    finally:
        raw.close()


async def test_a_stream_ends_when_its_callers_key_is_removed(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    importer = entry("importer", "b", ["enroll"], "encodings = true")
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, importer))
    sent = asyncio.Event()

    async def then_nothing() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header()
        yield chunk(vectors(2), ["ann", "bob"])
        sent.set()
        await asyncio.Event().wait()

    call = asyncio.ensure_future(matcher.stub.ImportFaces(then_nothing(), metadata=bearer("b")))
    await sent.wait()

    async def is_in() -> bool:
        asked = transfer_pb2.GetImportRequest(import_id="first")
        return bool((await matcher.stub.GetImport(asked, metadata=bearer("a"))).next_row == 2)

    await until(is_in)
    assert not call.done()
    keys_file(ADMIN)
    with refused(Reason.KEY_UNKNOWN, message="is no longer in the keys file"):
        await call


async def test_a_stream_ends_when_its_caller_loses_the_role(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    matcher = await start_matcher(
        database_url, keys_file=keys_file(ADMIN, entry("importer", "b", ["enroll"], "encodings = true"))
    )

    async def header_alone() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header()
        keys_file(ADMIN, entry("importer", "b", ["verify"]))
        await asyncio.Event().wait()

    with refused(Reason.NOT_PERMITTED):
        await matcher.stub.ImportFaces(header_alone(), metadata=bearer("b"))


@pytest.fixture(scope="module")
def exported_url(make_database: Callable[[str], str], template_database: str) -> str:
    """The URL of a database with FACES faces, which no test changes."""
    url = make_database(template_database)
    asyncio.run(_fill(url))
    return url


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    await dataset.load(connection, Faces(np.arange(FACES), vectors(FACES)))
    await connection.close()


async def test_an_export_ends_when_its_callers_key_is_removed(
    start_matcher: StartMatcher, exported_url: str, keys_file: WriteKeys
) -> None:
    exporter = entry("exporter", "b", ["admin"])
    matcher = await start_matcher(exported_url, keys_file=keys_file(ADMIN, exporter))
    ended = CALLS.of_method("unary_stream", "facerec.matcher.v1.MatcherService", "ExportFaces").codes
    before = ended.get("UNAUTHENTICATED", 0)
    call = matcher.stub.ExportFaces(transfer_pb2.ExportFacesRequest(), metadata=bearer("b"))
    assert await call.read()
    keys_file(ADMIN)
    await until(lambda: ended.get("UNAUTHENTICATED", 0) > before)
    read = 0
    with refused(Reason.KEY_UNKNOWN):
        while (part := await call.read()) is not grpc.aio.EOF:
            read += len(part.chunk.person_ids)
    assert read < FACES


@pytest.mark.parametrize("sends", ["nothing", "chunks"])
async def test_an_import_ends_when_its_caller_loses_the_collection(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys, sends: str
) -> None:
    importer = entry("importer", "b", ["enroll"], "encodings = true")
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, importer))
    narrowed = entry("importer", "b", ["enroll"], 'encodings = true\ncollections = ["other"]')

    async def chunks() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header()
        yield chunk(vectors(1), ["ann"])
        keys_file(ADMIN, narrowed)
        for number in range(1, 1000):
            await asyncio.sleep(30 if sends == "nothing" else 0.01)
            yield chunk(vectors(1, seed=number), ["ann"])

    sent = AsyncRequests(chunks())
    call = matcher.stub.ImportFaces(sent, metadata=bearer("b"))
    with pytest.raises(FacerecError) as caught, sent.attached_to(call, matcher.address):
        await call
    assert (caught.value.reason, caught.value.field) == (Reason.NOT_PERMITTED, "header.collection_id")


async def test_an_export_ends_when_its_caller_loses_the_collection(
    start_matcher: StartMatcher, exported_url: str, keys_file: WriteKeys
) -> None:
    matcher = await start_matcher(exported_url, keys_file=keys_file(ADMIN, entry("exporter", "b", ["admin"])))
    call = matcher.stub.ExportFaces(transfer_pb2.ExportFacesRequest(), metadata=bearer("b"))
    assert await call.read()
    keys_file(ADMIN, entry("exporter", "b", ["admin"], 'collections = ["other"]'))
    read = 0
    with refused(Reason.NOT_PERMITTED, "collection_id"):
        while (part := await call.read()) is not grpc.aio.EOF:
            read += len(part.chunk.person_ids)
            await asyncio.sleep(0.1)
    assert read < FACES


async def test_a_lowered_rate_applies_to_a_running_stream(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    matcher = await start_matcher(
        database_url, keys_file=keys_file(ADMIN, entry("importer", "b", ["enroll"], "encodings = true"))
    )
    times = []

    async def chunks() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header()
        yield chunk(vectors(1), ["ann"])
        slower = entry("importer", "b", ["enroll"], "encodings = true\nprobes_per_second = 4\nburst = 1")
        keys_file(ADMIN, slower, entry("new", "n", ["manage"]))
        await until(lambda: known(matcher, "n"))
        times.append(time.monotonic())
        for number in range(1, 6):
            yield chunk(vectors(1, seed=number), ["ann"])

    answer = await matcher.stub.ImportFaces(chunks(), metadata=bearer("b"))
    assert answer.faces_added == 6
    assert time.monotonic() - times[0] > 0.9  # one at once, four at four a second


async def test_other_keys_are_not_disturbed(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, entry("x", "b", ["verify"])))

    async def slowly() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield header()
        keys_file(ADMIN, entry("new", "n", ["manage"]))
        await until(lambda: known(matcher, "n"))
        yield chunk(vectors(1), ["ann"])

    assert (await matcher.stub.ImportFaces(slowly(), metadata=bearer("a"))).faces_added == 1
    await matcher.stub.Enroll(enroll("bob", encoding(vectors(1, seed=9)[0])), metadata=bearer("a"))


async def test_health_checks_without_a_key_delay_no_call(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN), max_call_seconds=10)
    await matcher.stub.Enroll(enroll("ann", encoding(vectors(1)[0])), metadata=bearer("a"))
    raw = await RawConnection.open(port(matcher))
    request = health_pb2.HealthCheckRequest()
    try:
        for stream in range(1, 401, 2):
            raw.begin(stream, "/grpc.health.v1.Health/Check")
        ended = asyncio.create_task(raw.ended(399))
        claim = pb.VerifyRequest(person_id="ann", probe=encoding(vectors(1)[0]))
        assert (await matcher.stub.Verify(claim, metadata=bearer("a"))).match
        await ended
        async with grpc.aio.insecure_channel(matcher.address) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)

            async def serving() -> bool:
                try:
                    answer = await health.Check(request, timeout=30)
                except grpc.aio.AioRpcError as error:  # a slow machine's own message may pass for slow
                    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                    return False
                return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

            await until(serving)
            with refused(Reason.OPTION_INVALID):
                await health.Check(health_pb2.HealthCheckRequest(service="x" * 100_000))
    finally:
        raw.close()


async def test_an_invalid_stream_item_is_reported_as_the_callers_fault(
    start_matcher: StartMatcher, database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    matcher = await start_matcher(database_url)
    async with grpc.aio.insecure_channel(matcher.address) as channel:
        raw: Any = channel.stream_unary("/facerec.matcher.v1.MatcherService/ImportFaces")
        with refused(Reason.OPTION_INVALID, message="not a message of this type"):
            await raw(iter([b"\xff\xff\xff"]))
    assert "internal_error" not in "".join(capfd.readouterr())


async def test_changed_keys_are_applied_however_the_file_was_replaced(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys, capsys: pytest.CaptureFixture[str]
) -> None:
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, entry("x", "b", ["manage"])))
    people = pb.ListPersonsRequest()
    await matcher.stub.ListPersons(people, metadata=bearer("b"))
    keys_file("x = " + "9" * 5000)  # more digits than Python makes a number of
    await until(lambda: "key_store_reload_failed" in capsys.readouterr().out)
    await matcher.stub.ListPersons(people, metadata=bearer("b"))
    keys_file(ADMIN, entry("new", "n", ["manage"]))
    await until(lambda: known(matcher, "n"))
    with refused(Reason.KEY_UNKNOWN):
        await matcher.stub.ListPersons(people, metadata=bearer("b"))


def test_a_certificate_with_another_name_is_another_caller(keys_file: WriteKeys) -> None:
    def certificate(subject: str) -> str:
        return f'[[certificates]]\nname = "door"\nsubject = "{subject}"\nroles = ["verify"]\n'

    store = KeyStore(keys_file(certificate("old.example")))
    found = store.find("", lambda: ["old.example"])
    assert store.refresh(found) == found
    keys_file(certificate("new.example"))
    store.reload_if_changed()
    with pytest.raises(KeyUnknown):
        store.refresh(found)


async def test_a_caller_that_hangs_up_within_a_message_is_counted_as_cancelled(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matcher = await start_matcher(database_url)
    counts = CALLS.of_method("unary_unary", "facerec.matcher.v1.MatcherService", "Verify")
    before, begun = dict(counts.codes), counts.started
    raw = await RawConnection.open(port(matcher))
    for stream in range(1, 21, 2):
        raw.begin(stream, VERIFY)
    await until(lambda: counts.started == begun + 10)
    raw.close()
    await until(lambda: counts.codes.get("CANCELLED", 0) == before.get("CANCELLED", 0) + 10)
    assert counts.codes.get("INVALID_ARGUMENT", 0) == before.get("INVALID_ARGUMENT", 0)


async def test_only_an_admin_imports_without_a_duplicate_check(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    importer = entry("importer", "b", ["enroll", "manage"], "encodings = true\n")
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, importer))
    faces = chunk(vectors(1), ["ann"])
    for number, policy in enumerate((pb.DUPLICATE_POLICY_FLAG, pb.DUPLICATE_POLICY_REFUSE)):
        settings = pb.CollectionSettings(duplicate_policy=policy)
        await matcher.collections.UpdateCollection(
            pb.UpdateCollectionRequest(settings=settings), metadata=bearer("a")
        )
        ignoring = header(f"import{number}", ignore_duplicate_policy=True)
        with refused(Reason.NOT_PERMITTED, "header.ignore_duplicate_policy", "role admin"):
            await send(matcher, ignoring, faces, metadata=bearer("b"))
        answer = await send(matcher, ignoring, faces, metadata=bearer("a"))
        assert answer.next_row == 1


async def test_an_import_that_ignores_duplicates_ends_when_its_caller_loses_the_role(
    start_matcher: StartMatcher, database_url: str, keys_file: WriteKeys
) -> None:
    other = entry("other", "b", ["admin"])
    matcher = await start_matcher(database_url, keys_file=keys_file(ADMIN, other))
    begun, changed, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ignoring = header(ignore_duplicate_policy=True)

    async def chunks() -> AsyncIterator[transfer_pb2.ImportFacesRequest]:
        yield ignoring
        begun.set()
        await changed.wait()
        yield chunk(vectors(1), ["ann"])
        await ended.wait()  # a call that ends while its client sends is INTERNAL to gRPC's client

    async def is_refused() -> bool:
        try:
            await send(matcher, ignoring, metadata=bearer("b"))
        except grpc.aio.AioRpcError as error:
            return from_rpc_error(error, "").reason is Reason.NOT_PERMITTED
        return False

    call = asyncio.ensure_future(matcher.stub.ImportFaces(chunks(), metadata=bearer("b")))
    await begun.wait()
    keys_file(ADMIN, entry("other", "b", ["enroll"], "encodings = true\n"))
    await until(is_refused)
    changed.set()
    with refused(Reason.NOT_PERMITTED, "header.ignore_duplicate_policy"):
        await call
    ended.set()
