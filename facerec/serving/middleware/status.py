"""Maps errors to gRPC statuses; no other module turns a reason into a status code."""

import uuid
from typing import Any

import grpc
import grpc.aio
import structlog
from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from facerec.errors import FacerecError, Reason
from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context, Handler, Method
from facerec.serving.observability import logs

# A name of the form of DNS (AIP-193), below the top-level domain that is reserved for private use.
DOMAIN = "facerec.internal"

CODES: dict[Reason, int] = {
    Reason.IMAGE_INVALID: code_pb2.INVALID_ARGUMENT,
    Reason.IMAGE_TOO_LARGE: code_pb2.INVALID_ARGUMENT,
    Reason.IMAGE_UNSUPPORTED: code_pb2.INVALID_ARGUMENT,
    Reason.ENCODING_INVALID: code_pb2.INVALID_ARGUMENT,
    Reason.ID_INVALID: code_pb2.INVALID_ARGUMENT,
    Reason.OPTION_INVALID: code_pb2.INVALID_ARGUMENT,
    Reason.FACE_NOT_FOUND: code_pb2.FAILED_PRECONDITION,
    Reason.FACE_AMBIGUOUS: code_pb2.FAILED_PRECONDITION,
    Reason.FACE_QUALITY: code_pb2.FAILED_PRECONDITION,
    Reason.MODEL_MISMATCH: code_pb2.FAILED_PRECONDITION,
    Reason.PERSON_NOT_FOUND: code_pb2.NOT_FOUND,
    Reason.COLLECTION_NOT_FOUND: code_pb2.NOT_FOUND,
    Reason.ERASURE_NOT_FOUND: code_pb2.NOT_FOUND,
    Reason.CALIBRATION_NOT_FOUND: code_pb2.NOT_FOUND,
    Reason.STORED_FACE_NOT_FOUND: code_pb2.NOT_FOUND,
    Reason.CALIBRATION_UNSUPPORTED: code_pb2.FAILED_PRECONDITION,
    Reason.REQUEST_ID_REUSED: code_pb2.ALREADY_EXISTS,
    Reason.PERSON_EXISTS: code_pb2.ALREADY_EXISTS,
    Reason.COLLECTION_EXISTS: code_pb2.ALREADY_EXISTS,
    Reason.COLLECTION_NOT_EMPTY: code_pb2.FAILED_PRECONDITION,
    Reason.FACE_DUPLICATE: code_pb2.ALREADY_EXISTS,
    Reason.FACE_INCONSISTENT: code_pb2.FAILED_PRECONDITION,
    Reason.PERSON_FULL: code_pb2.FAILED_PRECONDITION,
    Reason.PERSON_SUSPENDED: code_pb2.FAILED_PRECONDITION,
    Reason.OVERLOADED: code_pb2.RESOURCE_EXHAUSTED,
    Reason.RATE_LIMITED: code_pb2.RESOURCE_EXHAUSTED,
    Reason.ENCODER_UNAVAILABLE: code_pb2.UNAVAILABLE,
    Reason.STORE_UNAVAILABLE: code_pb2.UNAVAILABLE,
    Reason.MODEL_UNAVAILABLE: code_pb2.UNAVAILABLE,
    Reason.KEY_MISSING: code_pb2.UNAUTHENTICATED,
    Reason.KEY_UNKNOWN: code_pb2.UNAUTHENTICATED,
    Reason.NOT_PERMITTED: code_pb2.PERMISSION_DENIED,
    Reason.INTERNAL: code_pb2.INTERNAL,
    Reason.UNREACHABLE: code_pb2.UNAVAILABLE,
    Reason.DEADLINE_EXCEEDED: code_pb2.DEADLINE_EXCEEDED,
}

log = structlog.get_logger(__name__)


def to_status(error: FacerecError) -> status_pb2.Status:
    """The rich status of an error: ErrorInfo always, BadRequest and RetryInfo if they apply."""
    details: list[message.Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    ]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=error.message, reason=error.reason
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(error.retry_after_seconds * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=CODES[error.reason], message=error.message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def to_internal_error(error: Exception, method: str) -> FacerecError:
    """Log an unexpected error under a new id; returns the error for the caller, which has the id only."""
    error_id = uuid.uuid4().hex
    log.error("internal_error", error_id=error_id, method=method, **logs.describe(error))
    return FacerecError(f"internal error {error_id}; the server's log has the details under this id")


def map_errors(method: Method, handler: Handler) -> Handler:
    """The middleware that ends a call with the status of the error that its handler raised."""

    async def handle(request: Any, context: Context) -> Any:
        try:
            return await handler(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            failure = _failure(error, context, method.path)
        # Outside of the except block: else the AbortError would refer to this error, its frames and with them
        # the request, until they are garbage-collected.
        await context.abort(failure.code, failure.details or "", failure.trailing_metadata or ())

    return handle


def _failure(error: Exception, context: Context, path: str) -> grpc.Status:
    # The generated servicer sets this code before it raises NotImplementedError; else it is a bug.
    if isinstance(error, NotImplementedError) and context.code() == grpc.StatusCode.UNIMPLEMENTED:
        unimplemented = code_pb2.UNIMPLEMENTED
        return rpc_status.to_status(
            status_pb2.Status(code=unimplemented, message=f"{path} is not offered by this version")
        )
    known = error if isinstance(error, FacerecError) else to_internal_error(error, path)
    current_call = call.current()
    if current_call:
        current_call.reason = known.reason.value
    return rpc_status.to_status(to_status(known))
