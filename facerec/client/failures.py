"""The client's errors: converted from a gRPC status, or raised by the client itself."""

from typing import TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from facerec.errors import FacerecError, Reason
from facerec.tls_errors import tls_errors

M = TypeVar("M", bound=Message)

_DOMAIN = "facerec.internal"

# Reasons for statuses without a known one, which come from gRPC or from a service newer than this client.
_REASONS = {
    grpc.StatusCode.UNAVAILABLE: Reason.UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Reason.DEADLINE_EXCEEDED,
}


def option_invalid(field: str, message: str) -> FacerecError:
    """The error of an argument that the client refuses."""
    return FacerecError(message, reason=Reason.OPTION_INVALID, field=field)


def from_rpc_error(error: grpc.RpcError, address: str) -> FacerecError:
    """The error of a failed call to `address`.

    Its reason is the service's where the status carries one that this client knows; else UNREACHABLE for
    UNAVAILABLE, DEADLINE_EXCEEDED for the same code, and INTERNAL for any other.
    """
    details = _details(error)
    info = _first(details, error_details_pb2.ErrorInfo)
    if info is None or info.domain != _DOMAIN or info.reason not in Reason.__members__:
        return _without_reason(error, address)
    fault = _first(details, error_details_pb2.BadRequest)
    retry = _first(details, error_details_pb2.RetryInfo)
    return FacerecError(
        error.details() or info.reason,
        reason=Reason(info.reason),
        field=fault.field_violations[0].field if fault and fault.field_violations else "",
        retry_after_seconds=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
        metadata=dict(info.metadata),
    )


def _details(error: grpc.RpcError) -> status_pb2.Status:
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:  # its code or message differs from the call's, so it is not a facerec service's
        status = None
    return status or status_pb2.Status()


def _first(status: status_pb2.Status, kind: type[M]) -> M | None:
    for detail in status.details:
        message = kind()
        if detail.Unpack(message):
            return message
    return None


def _without_reason(error: grpc.RpcError, address: str) -> FacerecError:
    code = error.code()
    reason = _REASONS.get(code, Reason.INTERNAL)
    if reason is Reason.UNREACHABLE:
        tls_fault = tls_errors(error.details() or "")
        message = f"no service is ready at {address}" + (f" ({tls_fault})" if tls_fault else "")
    elif reason is Reason.DEADLINE_EXCEEDED:
        message = f"{address} did not answer in time"
    else:
        message = f"{address} answered {code.name}"
    return FacerecError(f"{message}: {error.details()}", reason=reason)
