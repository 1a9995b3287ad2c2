"""Calls that can be asked for again by their request id: between messages and operations."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from facerec.matcher.v1 import calibration_pb2, matcher_pb2, review_pb2
from matcher_service.domain import ids
from matcher_service.operations.operations import Operations
from matcher_service.operations.recording import Record, record_nothing
from matcher_service.operations.run import Finish, Operation
from matcher_service.postgres.database import Session

Request = (
    calibration_pb2.CalibrateRequest | review_pb2.MeasureRecallRequest | matcher_pb2.DeleteCollectionRequest
)
Result = TypeVar("Result")
Response = TypeVar(
    "Response",
    calibration_pb2.CalibrateResponse,
    review_pb2.MeasureRecallResponse,
    matcher_pb2.DeleteCollectionResponse,
)


class RepeatableCalls:
    """Does the work of a call within it, or with a request id as an operation that goes on without it."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def answer(
        self,
        request: Request,
        collection_id: str,
        work: Callable[[Record[Result]], Awaitable[Result]],
        response: type[Response],
        build: Callable[[Result], Response],
    ) -> Response:
        """The response to a request, built of the work's result, or stored before for the same request id.

        `work` is to await what it is given, with its result, in its last transaction. With a request id the
        response is stored, so `build` must name no person in it.

        Raises IdInvalid, RequestIdReused, Overloaded, StoreUnavailable, and what the work raises.
        """
        request_id = ids.request_id(request.request_id)
        if not request_id:
            return build(await work(record_nothing))

        async def run(finish: Finish) -> None:
            async def record(session: Session, result: Result) -> None:
                await finish(session, build(result).SerializeToString())

            await work(record)

        method = request.DESCRIPTOR.name.removesuffix("Request")
        operation = Operation(collection_id, request_id, method, _digest(method, request))
        stored = response()
        stored.ParseFromString(await self._operations.answer(operation, run))
        return stored


def _digest(method: str, request: Request) -> bytes:
    """The SHA-256 of what is asked for: all fields but the ids by which the operation is found."""
    content = type(request)()
    content.MergeFrom(request)  # type: ignore[arg-type]
    content.ClearField("request_id")
    content.ClearField("collection_id")
    return hashlib.sha256(method.encode() + b"\0" + content.SerializeToString(deterministic=True)).digest()
