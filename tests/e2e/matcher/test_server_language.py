"""Callers get the same errors when the database server writes its messages in another language."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg
import grpc.aio
import pytest
import structlog.testing

from facerec.errors import Reason
from facerec.matcher.v1 import erasure_pb2, transfer_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.domain.errors import StoreUnavailable
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres.driver_errors import translated
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.matcher import RunningMatcher, StartMatcher

# Of one length, so that messages keep the lengths they state.
WORDS = {
    b'Mrelation "': b'MRelation "',
    b"does not exist": b"existiert nich",
    b"dead but not yet removable": b"tot, doch nicht entfernbar",
    b"tuples missed": b"Tupel versaum",
}
GONE = "gone"
FACE_ID = "00000000-0000-0000-0000-000000000000"
PROBE = encoding(vectors(1)[0])
REQUESTS: dict[str, Any] = {
    "Enroll": enroll("ann", PROBE, collection_id=GONE),
    "Verify": pb.VerifyRequest(collection_id=GONE, person_id="ann", probe=PROBE),
    "Identify": pb.IdentifyRequest(collection_id=GONE, probes=[PROBE]),
    "Compare": pb.CompareRequest(collection_id=GONE, probe_a=PROBE, probe_b=pb.Probe(face_id=FACE_ID)),
    "GetPerson": pb.GetPersonRequest(collection_id=GONE, person_id="ann"),
    "ListPersons": pb.ListPersonsRequest(collection_id=GONE),
    "UpdatePerson": pb.UpdatePersonRequest(collection_id=GONE, person_id="ann", display_name="Ann"),
    "DeletePerson": pb.DeletePersonRequest(collection_id=GONE, person_id="ann"),
    "MergePersons": pb.MergePersonsRequest(collection_id=GONE, source_person_id="a", target_person_id="b"),
    "ListFaces": pb.ListFacesRequest(collection_id=GONE, person_id="ann"),
    "ExportPerson": pb.ExportPersonRequest(collection_id=GONE, person_id="ann"),
    "GetFace": pb.GetFaceRequest(collection_id=GONE, face_id=FACE_ID),
    "UpdateFace": pb.UpdateFaceRequest(collection_id=GONE, face_id=FACE_ID, external_ref="a"),
    "DeleteFace": pb.DeleteFaceRequest(collection_id=GONE, face_id=FACE_ID),
    "GetErasure": erasure_pb2.GetErasureRequest(collection_id=GONE, erasure_id=FACE_ID),
    "ExportFaces": transfer_pb2.ExportFacesRequest(collection_id=GONE),
}


class Translator:
    """Stands between a matcher and its server, and has the server's errors use other words."""

    def __init__(self, database_url: str) -> None:
        self._parts = urlsplit(database_url)
        self.url = ""
        self.translated = 0

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Listen; `url` then names the same database through here."""
        async with await asyncio.start_server(self._carry, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            login = self._parts.netloc.rpartition("@")[0] or "postgres"
            self.url = urlunsplit(self._parts._replace(netloc=f"{login}@127.0.0.1:{port}", query=""))
            yield

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = parse_qs(self._parts.query)
        if "host" in query:
            there = await asyncio.open_unix_connection(f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}")
        else:
            there = await asyncio.open_connection(self._parts.hostname, self._parts.port or 5432)
        await asyncio.gather(self._pump(reader, there[1], {}), self._pump(there[0], writer, WORDS))

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, words: dict[bytes, bytes]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                for english, other in words.items():
                    self.translated += data.count(english)
                    data = data.replace(english, other)
                sink.write(data)
                await sink.drain()
        sink.close()


@pytest.fixture
async def translator(database_url: str) -> AsyncIterator[Translator]:
    translator = Translator(database_url)
    async with translator.serve():
        yield translator


@pytest.fixture
async def foreign(translator: Translator, start_matcher: StartMatcher) -> RunningMatcher:
    """A matcher whose server speaks no English."""
    return await start_matcher(translator.url)


async def test_a_collection_that_is_not_there_is_not_found_in_any_language(
    foreign: RunningMatcher, translator: Translator
) -> None:
    for name, request in REQUESTS.items():
        with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
            answer = getattr(foreign.stub, name)(request)
            async for _ in answer if isinstance(answer, grpc.aio.UnaryStreamCall) else _one(answer):
                pass
    with refused(Reason.COLLECTION_NOT_FOUND, "collection_id"):
        await send(foreign, header(collection_id=GONE), chunk(vectors(1), ["ann"]))
    assert translator.translated


async def test_a_vacuum_reported_in_other_words_leaves_the_erasure_pending_and_says_why(
    translator: Translator, matcher: RunningMatcher, database_url: str
) -> None:
    await matcher.stub.Enroll(enroll("ann", PROBE))
    receipt = await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id="ann"))
    request = erasure_pb2.GetErasureRequest(erasure_id=receipt.erasure_id)
    with structlog.testing.capture_logs() as log:
        await runner.run_once(MaintenanceOptions(translator.url))
    assert [line["lc_messages"] for line in log if line["event"] == "vacuum_report_unparsed"] == ["C"]
    assert (await matcher.stub.GetErasure(request)).state == erasure_pb2.ERASURE_STATE_PENDING
    await runner.run_once(MaintenanceOptions(database_url))
    assert (await matcher.stub.GetErasure(request)).state == erasure_pb2.ERASURE_STATE_VACUUMED


@pytest.mark.parametrize("function", ["relation_open", "elsewhere"])
def test_a_table_dropped_during_a_statement_is_recognized_by_the_servers_function(
    function: str,
) -> None:
    fields = {"C": "XX000", "M": "konnte Relation mit OID 16384 nicht öffnen", "R": function}
    expected = StoreUnavailable if function == "relation_open" else asyncpg.InternalServerError
    with pytest.raises(expected), translated():
        raise asyncpg.PostgresError.new(fields)


async def _one(answer: Any) -> AsyncIterator[Any]:
    yield await answer
