"""Errors in CompreFace's form: a message, one of its codes, and the HTTP status that goes with it."""

import json
from collections.abc import Mapping
from typing import Final

from facerec.errors import Reason
from facerec.gateway import exchange, failures

OTHER: Final = 0
ACCESS_DENIED: Final = 1
EMPTY_FIELD: Final = 5
SERVICE_NOT_FOUND: Final = 10
IMAGE_NOT_FOUND: Final = 11
MISSING_HEADER: Final = 20
BAD_FILE: Final = 21
INVALID: Final = 26
NO_FACE: Final = 28
SEVERAL_FACES: Final = 31
MISSING_PARAMETER: Final = 33
MISSING_PART: Final = 34
MISSING_IN_PATH: Final = 35
BAD_ARGUMENT: Final = 36
UNAVAILABLE: Final = 41
SUBJECT_NOT_FOUND: Final = 42
SUBJECT_EXISTS: Final = 43
EXAMPLE_NOT_FOUND: Final = 44

BY_REASON: Final[Mapping[str, tuple[int, int]]] = {
    Reason.KEY_MISSING: (400, MISSING_HEADER),
    Reason.KEY_UNKNOWN: (404, SERVICE_NOT_FOUND),
    Reason.NOT_PERMITTED: (403, ACCESS_DENIED),
    Reason.COLLECTION_NOT_FOUND: (404, SERVICE_NOT_FOUND),
    Reason.PERSON_NOT_FOUND: (404, SUBJECT_NOT_FOUND),
    Reason.STORED_FACE_NOT_FOUND: (404, EXAMPLE_NOT_FOUND),
    Reason.PERSON_EXISTS: (400, SUBJECT_EXISTS),
    Reason.FACE_NOT_FOUND: (400, NO_FACE),
    Reason.FACE_AMBIGUOUS: (400, SEVERAL_FACES),
    Reason.IMAGE_INVALID: (400, BAD_FILE),
    Reason.IMAGE_TOO_LARGE: (400, BAD_FILE),
    Reason.IMAGE_UNSUPPORTED: (400, BAD_FILE),
    Reason.ENCODING_INVALID: (400, BAD_ARGUMENT),
    Reason.MODEL_MISMATCH: (400, BAD_ARGUMENT),
    Reason.OPTION_INVALID: (400, BAD_ARGUMENT),
    Reason.ID_INVALID: (400, INVALID),
    Reason.FACE_QUALITY: (400, INVALID),
    Reason.FACE_DUPLICATE: (400, INVALID),
    Reason.FACE_INCONSISTENT: (400, INVALID),
    Reason.PERSON_FULL: (400, INVALID),
    Reason.OVERLOADED: (429, OTHER),
    Reason.RATE_LIMITED: (429, OTHER),
    Reason.ENCODER_UNAVAILABLE: (503, UNAVAILABLE),
    Reason.STORE_UNAVAILABLE: (503, UNAVAILABLE),
    Reason.MODEL_UNAVAILABLE: (503, UNAVAILABLE),
    Reason.UNREACHABLE: (503, UNAVAILABLE),
    Reason.DEADLINE_EXCEEDED: (504, UNAVAILABLE),
}
"""The HTTP status and the code of each reason; of others the status of http.md, and OTHER."""

_STATUS_NAMES: Final = {403: "PERMISSION_DENIED", 404: "NOT_FOUND"}


class Refused(Exception):
    """The current request is refused, with an HTTP status, a code of CompreFace's and a sentence."""

    def __init__(self, message: str, code: int, http_status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.http_status = http_status

    def note(self) -> None:
        """Have the current request's log line and metrics show it, unless they show a service's error."""
        current = exchange.current()
        if current.code == "OK":
            current.code = _STATUS_NAMES.get(self.http_status, "INVALID_ARGUMENT")

    def to_json(self) -> bytes:
        """The body of the answer."""
        return json.dumps({"message": self.message, "code": self.code}, ensure_ascii=False).encode()


def from_failure(failed: failures.Failed) -> Refused:
    """A failure in CompreFace's form."""
    other = failures.HTTP_STATUSES.get(failed.status.code, 500), OTHER
    http_status, code = BY_REASON.get(failed.reason, other)
    if failed.reason == Reason.FACE_NOT_FOUND and failed.field.endswith("face_id"):
        http_status, code = 404, EXAMPLE_NOT_FOUND
    return Refused(failed.status.message, code, http_status)
