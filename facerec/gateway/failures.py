"""Why a request failed: a status of gRPC, as Connect's error, as JSON and as an HTTP status."""

import json
import math
from base64 import b64encode
from typing import Any, Final

import grpc
import grpc.aio
from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from google.protobuf import any_pb2, symbol_database
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from protobuf import wkt

from facerec.errors import FacerecError, Reason
from facerec.gateway import exchange
from facerec.serving.middleware import status

HTTP_STATUSES: Final = {
    code_pb2.CANCELLED: 499,
    code_pb2.UNKNOWN: 500,
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.DEADLINE_EXCEEDED: 504,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.ABORTED: 409,
    code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.INTERNAL: 500,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.DATA_LOSS: 500,
    code_pb2.UNAUTHENTICATED: 401,
}
"""The HTTP status of each code, as the Connect protocol has them."""


class Failed(ConnectError):
    """The current request has failed.

    Attributes:
        status: Why, with all details.
    """

    def __init__(self, found: status_pb2.Status) -> None:
        details = [_ReadableDetail(detail) for detail in found.details]
        super().__init__(_code(found.code), found.message, details)
        self.status = found

    @property
    def reason(self) -> str:
        """The reason, as `Reason` names it; empty for a failure without one."""
        info = _first(self.status, error_details_pb2.ErrorInfo())
        return str(info.reason) if info else ""

    @property
    def field(self) -> str:
        """The field of the request that is wrong; empty where it is none."""
        request = _first(self.status, error_details_pb2.BadRequest())
        return str(request.field_violations[0].field) if request and request.field_violations else ""


class _ReadableDetail(ErrorDetail):
    """A detail that Connect's JSON shows as an object too, under `debug`."""

    def __init__(self, packed: any_pb2.Any) -> None:
        super().__init__(wkt.Any(type_url=packed.type_url, value=packed.value))
        self._readable = _readable(packed)

    def value(self, *_: Any) -> Any:
        return wkt.Struct.from_python(self._readable) if self._readable else None


def _code(code: int) -> Code:
    return Code("canceled" if code == code_pb2.CANCELLED else code_pb2.Code.Name(code).lower())


def _readable(packed: any_pb2.Any) -> dict[str, Any]:
    """A detail as a JSON object; empty for a type that is not known here."""
    try:
        message = symbol_database.Default().GetSymbol(packed.TypeName())()
        packed.Unpack(message)
    except (KeyError, DecodeError):
        return {}
    return MessageToDict(message)


def fail(error: FacerecError) -> Failed:
    """The failure of the current request by an error, to be raised."""
    return _noted(status.to_status(error))


def option_invalid(message: str, field: str = "") -> Failed:
    """The failure of the current request by something that its sender must change."""
    return fail(FacerecError(message, reason=Reason.OPTION_INVALID, field=field))


def from_service(error: grpc.aio.AioRpcError, service: str) -> Failed:
    """The failure of the current request by the status that a service answered, with all its details.

    `service` is its full name. If the service could not be asked, its addresses stay out of the message.
    """
    try:
        found = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:  # its code or message differs from the call's
        found = None
    if found is not None:
        return _noted(found)
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        name = service.rpartition(".")[2]
        return fail(
            FacerecError(
                f"no {name} is ready; retry later", reason=Reason.UNREACHABLE, retry_after_seconds=1.0
            )
        )
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return fail(FacerecError("the deadline has passed", reason=Reason.DEADLINE_EXCEEDED))
    return _noted(status_pb2.Status(code=error.code().value[0], message=error.details() or ""))


def _noted(found: status_pb2.Status) -> Failed:
    """The failure, which the current request's log line and headers show."""
    current = exchange.current()
    current.code = code_pb2.Code.Name(found.code)
    if info := _first(found, error_details_pb2.ErrorInfo()):
        current.call.reason = info.reason
    if retry := _first(found, error_details_pb2.RetryInfo()):
        current.retry_after_seconds = retry.retry_delay.ToNanoseconds() / 1e9
    return Failed(found)


def _first(found: status_pb2.Status, kind: Message) -> Any:
    return next((kind for detail in found.details if detail.Unpack(kind)), None)


def to_json(found: status_pb2.Status) -> bytes:
    """The body of an error, as the Connect protocol has it, on a line."""
    details = []
    for packed in found.details:
        value = b64encode(packed.value).decode().rstrip("=")
        detail: dict[str, Any] = {"type": packed.TypeName(), "value": value}
        if readable := _readable(packed):
            detail["debug"] = readable
        details.append(detail)
    body = {"code": _code(found.code).value, "message": found.message, "details": details}
    return f"{json.dumps(body, ensure_ascii=False)}\n".encode()


def retry_after(seconds: float) -> bytes:
    """The value of the header Retry-After: whole seconds, at least 1."""
    return str(max(1, math.ceil(seconds))).encode()
