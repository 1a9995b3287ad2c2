"""An enrollment with a request id happens once, whatever is lost, repeated or erased meanwhile."""

import asyncio
import contextlib
import hashlib
import hmac

import asyncpg
import grpc
import grpc.aio
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.matcher.v1.transfer_pb2 import GetImportRequest
from matcher_service.domain.content_hash import content_digest, content_id
from matcher_service.domain.faces import Encoding, Probe
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.e2e.matcher.requests import SPACE, encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import LIMIT_SECONDS, until

FIRST, SECOND = vectors(2)


async def stored_faces(database_url: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM facerec.face"))
    finally:
        await connection.close()


async def test_a_repeated_call_answers_as_the_first_did(matcher: RunningMatcher) -> None:
    item = pb.EnrollItem(probe=encoding(FIRST, fingerprint="cpu"), external_ref="a.jpg")
    request = pb.EnrollRequest(person_id="ann", items=[item, item], request_id="r1", display_name="Ann")
    first = await matcher.stub.Enroll(request)
    assert await matcher.stub.Enroll(request) == first
    await matcher.stub.DeleteFace(pb.DeleteFaceRequest(face_id=first.faces[0].face.face_id))
    again = await matcher.stub.Enroll(request)
    assert again.faces == first.faces
    assert again.person.face_count == 0


async def test_the_same_id_with_other_content_is_refused_and_stores_nothing(
    matcher: RunningMatcher, database_url: str
) -> None:
    await matcher.stub.Enroll(enroll("ann", encoding(FIRST), request_id="r1"))
    for other in (
        enroll("ann", encoding(SECOND), request_id="r1"),
        enroll("ann", encoding(FIRST), encoding(FIRST), request_id="r1"),
        enroll("ann", encoding(FIRST), request_id="r1", display_name=""),
        enroll("ben", encoding(FIRST), request_id="r1"),
    ):
        with refused(Reason.REQUEST_ID_REUSED, "request_id"):
            await matcher.stub.Enroll(other)
    assert await stored_faces(database_url) == 1
    with refused(Reason.PERSON_NOT_FOUND, "person_id"):
        await matcher.stub.GetPerson(pb.GetPersonRequest(person_id="ben"))


async def test_a_replay_does_not_bring_an_erased_person_back(
    matcher: RunningMatcher, database_url: str
) -> None:
    request = enroll("ann", encoding(FIRST), request_id="r1")
    await matcher.stub.Enroll(request)
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
    with refused(Reason.PERSON_NOT_FOUND, "request_id", message="erased, merged or renamed since"):
        await matcher.stub.Enroll(request)
    # Their key is gone, so nobody can tell whether another content is meant.
    for name, face in (("ann", SECOND), ("ben", FIRST)):
        with refused(Reason.PERSON_NOT_FOUND, "request_id", message="send a new request id"):
            await matcher.stub.Enroll(enroll(name, encoding(face), request_id="r1"))
    assert await stored_faces(database_url) == 0
    await matcher.stub.Enroll(enroll("ann", encoding(FIRST), request_id="r2"))
    with refused(Reason.PERSON_NOT_FOUND, "request_id", message="erased, merged or renamed since"):
        await matcher.stub.Enroll(request)


async def test_the_stored_request_is_keyed_by_the_person_and_names_nobody(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    item = pb.EnrollItem(probe=encoding(FIRST), external_ref="photo of Annabel")
    await matcher.stub.Enroll(
        pb.EnrollRequest(person_id="annabel", display_name="Annabel", items=[item], request_id="annabel 1")
    )
    key = (await administrator.fetchval("SELECT audit_key FROM facerec.person")).bytes
    face = Encoding(FIRST, SPACE)
    items = [(Probe(face, ""), await content_id(face), "photo of Annabel")]
    digest = content_digest("annabel", "Annabel", items)
    (row,) = await administrator.fetch("SELECT * FROM facerec.enroll_request")
    assert row["digest"] == hmac.digest(key, digest, "sha256")
    assert row["request_tag"] == hashlib.sha256(b"annabel 1").digest()
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="annabel"))
    await runner.run_once(MaintenanceOptions(database_url))
    (row,) = await administrator.fetch("SELECT * FROM facerec.enroll_request")
    assert row["request_tag"] == hashlib.sha256(b"annabel 1").digest()
    left = [row[name] for name in ("digest", "face_ids", "already_enrolled", "model_keys", "face_times")]
    assert left == [b"", [], [], [], []]
    assert "annabel" not in str(row).lower()


async def test_request_ids_and_imports_are_deleted_after_their_retention(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str
) -> None:
    request = enroll("ann", encoding(FIRST), request_id="r1")
    await matcher.stub.Enroll(request)
    await send(matcher, header("i1"), chunk(vectors(2, seed=3), ["ben", "ben"]))
    await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
    age = "interval '30 days 1 hour'"
    await administrator.execute(f"UPDATE facerec.enroll_request SET create_time = create_time - {age}")
    await administrator.execute(f"UPDATE facerec.face_import SET update_time = update_time - {age}")
    for kept_days in (0, 31):
        await runner.run_once(MaintenanceOptions(database_url, request_retention_days=kept_days))
        with refused(Reason.PERSON_NOT_FOUND, "request_id"):
            await matcher.stub.Enroll(request)
    assert (await matcher.stub.GetImport(GetImportRequest(import_id="i1"))).next_row == 2
    await runner.run_once(MaintenanceOptions(database_url))
    assert (await matcher.stub.Enroll(request)).person_created
    assert (await matcher.stub.GetImport(GetImportRequest(import_id="i1"))).next_row == 0


@pytest.mark.parametrize("request_id", ["", "r1"])
async def test_concurrent_calls_of_one_enrollment_store_one_face(
    start_matcher: StartMatcher, database_url: str, request_id: str
) -> None:
    matchers = [await start_matcher(database_url) for _ in range(2)]
    for attempt in range(15):
        face = encoding(vectors(1, seed=attempt)[0])
        request = enroll(f"p{attempt}", face, request_id=request_id and f"{request_id}-{attempt}")
        answers = await asyncio.gather(*(matchers[i % 2].stub.Enroll(request) for i in range(6)))
        assert len({answer.faces[0].face.face_id for answer in answers}) == 1
        if request_id:
            assert len({answer.faces[0].already_enrolled for answer in answers}) == 1
            assert all(answer.person_created for answer in answers)
        else:
            assert sorted(answer.faces[0].already_enrolled for answer in answers) == [False] + [True] * 5
    assert await stored_faces(database_url) == 15


async def test_one_request_id_used_concurrently_for_two_people_enrolls_one(
    start_matcher: StartMatcher, database_url: str
) -> None:
    matchers = [await start_matcher(database_url) for _ in range(2)]
    for attempt in range(15):
        calls = [
            matchers[i].stub.Enroll(enroll(f"{name}{attempt}", encoding(FIRST), request_id=f"r{attempt}"))
            for i, name in enumerate(("ann", "ben"))
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert [error.code() for error in failed] == [grpc.StatusCode.ALREADY_EXISTS]
    assert await stored_faces(database_url) == 15


class DeafLine:
    """Carries bytes between a client and a server; while `deaf`, no answer reaches the client."""

    def __init__(self, address: str) -> None:
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)
        self.deaf = False
        self.writers: list[asyncio.StreamWriter] = []

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(self.host, self.port)
        self.writers += [writer, server_writer]
        await asyncio.gather(
            self._pump(reader, server_writer, answers=False), self._pump(server_reader, writer, answers=True)
        )

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if not (answers and self.deaf):
                    sink.write(data)
        sink.close()

    def cut(self) -> None:
        """End every connection."""
        for writer in self.writers:
            writer.close()
        self.writers, self.deaf = [], False


@pytest.mark.parametrize("request_id", ["", "r1"])
async def test_a_retry_after_a_lost_answer_stores_one_face(
    matcher: RunningMatcher, database_url: str, request_id: str
) -> None:
    line = DeafLine(matcher.address)
    server = await asyncio.start_server(line.carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = matcher_pb2_grpc.MatcherServiceStub(channel)
        await stub.ListPersons(pb.ListPersonsRequest())
        line.deaf = True
        request = enroll("ann", encoding(FIRST), request_id=request_id)
        lost = asyncio.ensure_future(stub.Enroll(request, timeout=LIMIT_SECONDS))

        async def stored() -> bool:
            return await stored_faces(database_url) > 0

        await until(stored)
        assert not lost.done()
        line.cut()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await lost
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        answer = await matcher.stub.Enroll(request)
        assert (answer.person.face_count, answer.person_created) == (1, bool(request_id))
    assert await stored_faces(database_url) == 1


@pytest.mark.parametrize("request_id", ["", "r1"])
async def test_a_call_cancelled_at_any_time_and_retried_stores_one_face(
    matcher: RunningMatcher, database_url: str, request_id: str
) -> None:
    """The client goes away at ever later moments, before and after the commit."""
    for attempt in range(40):
        face = encoding(vectors(1, seed=attempt)[0])
        request = enroll(f"p{attempt}", face, request_id=request_id and f"{request_id}-{attempt}")
        first = matcher.stub.Enroll(request)
        await asyncio.sleep(attempt * 0.0002)
        first.cancel()
        answer = await matcher.stub.Enroll(request)
        assert answer.person.face_count == 1
    assert await stored_faces(database_url) == 40
