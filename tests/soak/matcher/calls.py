"""Single calls without a client's retries, and their outcomes."""

import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from facerec.matcher import v1
from tests.soak.matcher.faces import encoding
from tests.soak.matcher.recovery import retry_seconds

CALL_SECONDS = 5.0
OK = grpc.StatusCode.OK
TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


@dataclasses.dataclass(frozen=True)
class Answer:
    """The outcome of a call; times in seconds, `began` by `time.monotonic`."""

    method: str
    began: float
    seconds: float
    code: grpc.StatusCode
    retry_after_seconds: float | None
    message: Any

    @property
    def as_expected(self) -> bool:
        """Whether a caller knows what to do next: it got an answer, a final refusal, or a time to retry."""
        if self.code in TRANSIENT:
            return self.retry_after_seconds is not None
        return self.code not in (
            grpc.StatusCode.INTERNAL,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        )


class Line:
    """A channel to one replica; a request's type says which RPC it is for."""

    def __init__(self, address: str) -> None:
        # Without retries of gRPC's own: each status is to be seen.
        self._channel = grpc.aio.insecure_channel(address, [("grpc.enable_retries", 0)])
        self._stubs: tuple[Any, Any] = (
            v1.MatcherServiceStub(self._channel),
            v1.CollectionServiceStub(self._channel),
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, address: str) -> AsyncIterator["Line"]:
        """A line that is closed at the end."""
        line = cls(address)
        try:
            yield line
        finally:
            await line._channel.close()

    async def ask(self, request: Any, timeout_seconds: float | None = None) -> Answer:
        """Make one call, with a deadline of CALL_SECONDS or another, and return its outcome."""
        began = time.monotonic()
        code, retry_after_seconds, message = OK, None, None
        try:
            message = await self.send(request, timeout_seconds or CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            code, retry_after_seconds = error.code(), retry_seconds(error)
        seconds = time.monotonic() - began
        return Answer(_method(request), began, seconds, code, retry_after_seconds, message)

    async def send(self, request: Any, timeout_seconds: float) -> Any:
        """Make one call and return its answer. Raises grpc.aio.AioRpcError."""
        method = _method(request)
        stub = next(stub for stub in self._stubs if hasattr(stub, method))
        return await getattr(stub, method)(request, timeout=timeout_seconds)


def _method(request: Any) -> str:
    return type(request).__name__.removesuffix("Request")


def probe(number: int) -> v1.Probe:
    """A face by its number."""
    return v1.Probe(encoding=encoding(number).to_message())


def enroll(collection_id: str, person_id: str, number: int) -> v1.EnrollRequest:
    """An enrollment of one face."""
    return v1.EnrollRequest(
        collection_id=collection_id, person_id=person_id, items=[v1.EnrollItem(probe=probe(number))]
    )


def verify(collection_id: str, person_id: str, number: int) -> v1.VerifyRequest:
    """A claim."""
    return v1.VerifyRequest(collection_id=collection_id, person_id=person_id, probe=probe(number))


def every_rpc(collection_id: str, number: int) -> list[Any]:
    """A request of every RPC, in an order in which each finds what it needs: a collection's whole life."""
    named: dict[str, Any] = {"collection_id": collection_id}
    ann = named | {"person_id": "ann"}
    face = probe(number)
    return [
        v1.CreateCollectionRequest(**named),
        v1.GetCollectionRequest(**named),
        v1.ListCollectionsRequest(page_size=5),
        v1.UpdateCollectionRequest(**named, settings=v1.CollectionSettings(verify_threshold=0.55)),
        enroll(collection_id, "ann", number),
        enroll(collection_id, "ben", number + 1),
        verify(collection_id, "ann", number),
        v1.IdentifyRequest(**named, probes=[face], exact_only=True),
        v1.CompareRequest(**named, probe_a=face, probe_b=face),
        v1.GetPersonRequest(**ann),
        v1.ListPersonsRequest(**named),
        v1.UpdatePersonRequest(**ann, display_name="Ann"),
        v1.ListFacesRequest(**ann),
        v1.MergePersonsRequest(**named, source_person_id="ben", target_person_id="ann"),
        v1.DeleteFaceRequest(**named, face_id="00000000-0000-4000-8000-000000000000"),
        v1.DeletePersonRequest(**ann),
        v1.DeleteCollectionRequest(**named, force=True),
    ]
