"""Errors in the form of Rekognition, by the reasons of the services."""

import json
from collections.abc import Mapping
from typing import Any, Final

from google.rpc import code_pb2

from facerec.errors import Reason
from facerec.gateway.failures import Failed
from facerec.serving.middleware.status import CODES

INVALID_PARAMETER: Final = "InvalidParameterException"
NOT_FOUND: Final = "ResourceNotFoundException"
THROTTLED: Final = "ThrottlingException"
INTERNAL: Final = "InternalServerError"
DENIED: Final = "AccessDeniedException"
UNKNOWN_KEY: Final = "UnrecognizedClientException"
BAD_PAGE: Final = "InvalidPaginationTokenException"

NAMES: Final[Mapping[str, str]] = {
    Reason.IMAGE_INVALID: "InvalidImageFormatException",
    Reason.IMAGE_UNSUPPORTED: "InvalidImageFormatException",
    Reason.IMAGE_TOO_LARGE: "ImageTooLargeException",
    Reason.PERSON_NOT_FOUND: NOT_FOUND,
    Reason.COLLECTION_NOT_FOUND: NOT_FOUND,
    Reason.STORED_FACE_NOT_FOUND: NOT_FOUND,
    Reason.COLLECTION_EXISTS: "ResourceAlreadyExistsException",
    Reason.PERSON_EXISTS: "ConflictException",
    Reason.PERSON_FULL: "ServiceQuotaExceededException",
    Reason.OVERLOADED: THROTTLED,
    Reason.RATE_LIMITED: "ProvisionedThroughputExceededException",
    Reason.KEY_MISSING: UNKNOWN_KEY,
    Reason.KEY_UNKNOWN: UNKNOWN_KEY,
    Reason.NOT_PERMITTED: DENIED,
    Reason.ENCODER_UNAVAILABLE: INTERNAL,
    Reason.STORE_UNAVAILABLE: INTERNAL,
    Reason.MODEL_UNAVAILABLE: INTERNAL,
    Reason.UNREACHABLE: INTERNAL,
    Reason.DEADLINE_EXCEEDED: INTERNAL,
    Reason.INTERNAL: INTERNAL,
}
"""The exception of each reason; that of any other is INVALID_PARAMETER."""


class Refused(Exception):
    """A request fails with one of Rekognition's exceptions.

    Attributes:
        name: The exception's name.
        message: A sentence for people that says what to do.
        reason: The reason under which the gateway logs and counts it.
    """

    def __init__(self, name: str, message: str, reason: Reason = Reason.OPTION_INVALID) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.reason = reason

    @property
    def code(self) -> str:
        """The name of the gRPC status code of the reason."""
        return str(code_pb2.Code.Name(CODES[self.reason]))


def invalid(message: str) -> Refused:
    """The refusal of a parameter."""
    return Refused(INVALID_PARAMETER, message)


def no_collection() -> Refused:
    """The refusal of a request about a collection that is not there."""
    return Refused(NOT_FOUND, "there is no collection with this CollectionId", Reason.COLLECTION_NOT_FOUND)


def denied(message: str) -> Refused:
    """The refusal of a request that the key's permissions do not cover."""
    return Refused(DENIED, message, Reason.NOT_PERMITTED)


def unknown_key(message: str) -> Refused:
    """The refusal of a request by somebody who is not known."""
    return Refused(UNKNOWN_KEY, message, Reason.KEY_UNKNOWN)


def too_slow(seconds: float) -> Refused:
    """The failure of a request that took too long."""
    return Refused(INTERNAL, f"the call took longer than {seconds:g} s", Reason.DEADLINE_EXCEEDED)


def name_of(failed: Failed) -> str:
    """The exception of a failure."""
    if not failed.reason:
        return INTERNAL
    if failed.field == "page_token":
        return BAD_PAGE
    return NAMES.get(failed.reason, INVALID_PARAMETER)


def message_of(failed: Failed) -> str:
    """The sentence of a failure, about Rekognition's parameter where it is known."""
    if name_of(failed) == BAD_PAGE:
        return "NextToken is not of this list: send that of the previous page, with the same parameters"
    return str(failed.status.message)


def http_status_of(name: str) -> int:
    """The HTTP status of an exception."""
    return 500 if name == INTERNAL else 400


def to_json(name: str, message: str) -> bytes:
    """The body of an error."""
    body: dict[str, Any] = {"__type": name, "Message": message}
    return json.dumps(body, ensure_ascii=False).encode()
