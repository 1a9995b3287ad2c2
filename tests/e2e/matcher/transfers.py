"""Helpers for imports and exports, and for the locks and connections that they hold."""

from collections.abc import AsyncIterator, Sequence

import asyncpg
import grpc.aio
import numpy as np
import numpy.typing as npt

from facerec.client.sending import AsyncRequests
from facerec.errors import FacerecError
from facerec.matcher.v1 import transfer_pb2
from tests.e2e.matcher.requests import SPACE
from tests.fixtures.matcher import RunningMatcher

Vectors = npt.NDArray[np.float32]
Request = transfer_pb2.ImportFacesRequest
Response = transfer_pb2.ImportFacesResponse
Metadata = Sequence[tuple[str, str]]
Export = grpc.aio.UnaryStreamCall[transfer_pb2.ExportFacesRequest, transfer_pb2.ExportFacesResponse]

HOLDING = "xact_start < clock_timestamp() - interval '0.2 s'"
LOCKED = "wait_event_type = 'Lock'"


def header(import_id: str = "first", first_row: int = 0, **fields: object) -> Request:
    made = transfer_pb2.ImportHeader(space=SPACE, import_id=import_id, first_row=first_row)
    for name, value in fields.items():
        setattr(made, name, value)
    return Request(header=made)


def chunk(faces: Vectors, people: Sequence[str], **columns: Sequence[object]) -> Request:
    wire = faces.astype("<f4").tobytes()
    made = transfer_pb2.FaceChunk(encodings=wire, person_ids=people, **columns)  # type: ignore[arg-type]
    return Request(chunk=made)


async def send(matcher: RunningMatcher, *requests: Request, metadata: Metadata = ()) -> Response:
    """Import, as `send_each` does."""

    async def each() -> AsyncIterator[Request]:
        for request in requests:
            yield request

    return await send_each(matcher, each(), metadata=metadata)


async def send_each(
    matcher: RunningMatcher, requests: AsyncIterator[Request], *, metadata: Metadata = ()
) -> Response:
    """Import; raises the service's own status, which gRPC replaces if a request is sent meanwhile."""
    sent = AsyncRequests(requests)
    call = matcher.stub.ImportFaces(sent, metadata=metadata)
    try:
        with sent.attached_to(call, matcher.address):
            answer: Response = await call
    except FacerecError as error:
        assert error.__cause__ is not None
        raise error.__cause__ from None
    return answer


async def export(matcher: RunningMatcher, collection_id: str = "") -> list[transfer_pb2.ExportFacesResponse]:
    request = transfer_pb2.ExportFacesRequest(collection_id=collection_id)
    return [part async for part in matcher.stub.ExportFaces(request)]


def exported(parts: Sequence[transfer_pb2.ExportFacesResponse]) -> tuple[list[str], Vectors]:
    people = [person for part in parts for person in part.chunk.person_ids]
    wire = b"".join(part.chunk.encodings for part in parts)
    return people, np.frombuffer(wire, "<f4").reshape(-1, 128)


def people(count: int) -> list[str]:
    """Two faces a person."""
    return [f"p{place // 2:05}" for place in range(count)]


async def connections(database_url: str, condition: str) -> int:
    """How many connections that matchers have to the database are so."""
    connection = await asyncpg.connect(database_url)
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            f" WHERE datname = current_database() AND application_name = 'facerec-matcher' AND {condition}"
        )
    finally:
        await connection.close()
    return count


async def unread(matcher: RunningMatcher) -> Export:
    """An export under way that nobody reads; `default` has more faces than fit into what is sent ahead."""
    call: Export = matcher.stub.ExportFaces(transfer_pb2.ExportFacesRequest())
    await call.initial_metadata()  # comes with the first faces
    return call
