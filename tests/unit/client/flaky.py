"""A real server whose services answer as a test requires."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeAlias

import grpc
import grpc.aio

from facerec.client.channel import ENCODER_SERVICE, MATCHER_SERVICE
from facerec.encoder import v1 as encoder_v1
from facerec.errors import FacerecError, Reason
from facerec.matcher import v1 as matcher_v1
from facerec.serving.server.server import Server, ServerOptions, Service

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

NAMES = [f"person-{number:02}" for number in range(25)]


class FlakyEncoder:
    """Fails `failures` times with UNAVAILABLE, then answers the size of the image as its width."""

    def __init__(self, failures: int = 0, seconds: float = 0.0) -> None:
        self.failures = failures
        self.seconds = seconds
        self.calls = 0
        self.connections: set[str] = set()
        self.ended = asyncio.Event()

    async def encode(self, request: encoder_v1.EncodeRequest, context: Context) -> encoder_v1.EncodeResponse:
        self.calls += 1
        self.connections.add(context.peer())
        await asyncio.sleep(self.seconds)
        if self.calls <= self.failures:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        face = encoder_v1.Face(
            bounding_box=encoder_v1.BoundingBox(top=-1, right=9, bottom=8, left=2),
            encoding=encoder_v1.Encoding(values=[0.5] * 128, space="a/b/c"),
        )
        return encoder_v1.EncodeResponse(faces=[face], image_width=len(request.image))

    async def encode_stream(
        self, requests: AsyncIterator[encoder_v1.EncodeStreamRequest], context: Context
    ) -> AsyncIterator[encoder_v1.EncodeStreamResponse]:
        """Answer each; `ended` is set when no more come."""
        try:
            async for item in requests:
                yield encoder_v1.EncodeStreamResponse(
                    item_id=item.item_id, response=await self.encode(item.request, context)
                )
        finally:
            self.ended.set()


class PagedMatcher:
    """Has `NAMES` to list, and refuses the first `refusals` enrollments; by default every one."""

    def __init__(self, error: FacerecError, refusals: int = 1000) -> None:
        self.error = error
        self.refusals = refusals
        self.calls = 0
        self.ended = asyncio.Event()

    async def enroll(self, request: matcher_v1.EnrollRequest, context: Context) -> matcher_v1.EnrollResponse:
        self.calls += 1
        if self.calls <= self.refusals:
            raise self.error
        face = matcher_v1.Face(face_id=str(uuid.UUID(int=self.calls)), person_id=request.person_id)
        return matcher_v1.EnrollResponse(faces=[matcher_v1.EnrolledFace(face=face)])

    async def list_persons(
        self, request: matcher_v1.ListPersonsRequest, context: Context
    ) -> matcher_v1.ListPersonsResponse:
        self.calls += 1
        first = int(request.page_token or 0)
        last = first + request.page_size
        persons = [matcher_v1.Person(person_id=name) for name in NAMES[first:last]]
        token = str(last) if last < len(NAMES) else ""
        return matcher_v1.ListPersonsResponse(persons=persons, next_page_token=token)

    async def import_faces(
        self, requests: AsyncIterator[matcher_v1.ImportFacesRequest], context: Context
    ) -> matcher_v1.ImportFacesResponse:
        """Count the faces, those of "nobody" refused at once; `ended` is set when no more come."""
        added = 0
        try:
            async for request in requests:
                if "nobody" in request.chunk.person_ids:
                    raise self.error
                added += len(request.chunk.person_ids)
        finally:
            self.ended.set()
        return matcher_v1.ImportFacesResponse(next_row=added, faces_added=added)


OVERLOADED = FacerecError(
    "busy", field="items[1].probe.image", retry_after_seconds=1.5, reason=Reason.OVERLOADED
)


@contextlib.asynccontextmanager
async def serving(
    encoder: FlakyEncoder | None = None,
    matcher: PagedMatcher | None = None,
    address: str = "127.0.0.1:0",
    **options: Any,
) -> AsyncIterator[Server]:
    """A server with both services SERVING; `options` are those of ServerOptions."""
    encoder, matcher = encoder or FlakyEncoder(), matcher or PagedMatcher(OVERLOADED)
    encoding = grpc.unary_unary_rpc_method_handler(
        encoder.encode, encoder_v1.EncodeRequest.FromString, encoder_v1.EncodeResponse.SerializeToString
    )
    enrolling = grpc.unary_unary_rpc_method_handler(
        matcher.enroll, matcher_v1.EnrollRequest.FromString, matcher_v1.EnrollResponse.SerializeToString
    )
    listing = grpc.unary_unary_rpc_method_handler(
        matcher.list_persons,
        matcher_v1.ListPersonsRequest.FromString,
        matcher_v1.ListPersonsResponse.SerializeToString,
    )
    streaming = grpc.stream_stream_rpc_method_handler(
        encoder.encode_stream,
        encoder_v1.EncodeStreamRequest.FromString,
        encoder_v1.EncodeStreamResponse.SerializeToString,
    )
    importing = grpc.stream_unary_rpc_method_handler(
        matcher.import_faces,
        matcher_v1.ImportFacesRequest.FromString,
        matcher_v1.ImportFacesResponse.SerializeToString,
    )
    services = [
        _service(ENCODER_SERVICE, {"Encode": encoding, "EncodeStream": streaming}, large={"Encode"}),
        _service(MATCHER_SERVICE, {"Enroll": enrolling, "ListPersons": listing, "ImportFaces": importing}),
    ]
    server = Server(ServerOptions(address, **options), services)
    await server.start()
    for service in services:
        await server.set_serving(service.full_name, True)
    try:
        yield server
    finally:
        await server.stop()


def _service(name: str, methods: dict[str, Any], large: Iterable[str] = ()) -> Service:
    return Service(
        name, lambda server: server.add_registered_method_handlers(name, methods), large=frozenset(large)
    )
