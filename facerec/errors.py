"""The errors of the contract, independent of gRPC.

    FacerecError            reason, message, field, retry_after_seconds, metadata
    +-- each service's own tree, in encoder_service.domain.errors and matcher_service.domain.errors

A service raises a subclass where the error is detected; `facerec.serving.middleware.status` maps its reason
to a gRPC status once. The clients raise `FacerecError` itself, with what the status carried.
"""

import enum
from collections.abc import Mapping
from typing import Self


class Reason(enum.StrEnum):
    """Why a call failed: a reason of a service, or one of the client itself.

    A service sends it in a `google.rpc.ErrorInfo` of the domain `facerec.internal`; facerec.v1.ErrorReason
    of the contract lists them.
    docs/errors.md says what each means, and whether to retry.
    """

    IMAGE_INVALID = "IMAGE_INVALID"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    IMAGE_UNSUPPORTED = "IMAGE_UNSUPPORTED"
    ENCODING_INVALID = "ENCODING_INVALID"
    ID_INVALID = "ID_INVALID"
    OPTION_INVALID = "OPTION_INVALID"
    FACE_NOT_FOUND = "FACE_NOT_FOUND"
    FACE_AMBIGUOUS = "FACE_AMBIGUOUS"
    FACE_QUALITY = "FACE_QUALITY"
    MODEL_MISMATCH = "MODEL_MISMATCH"
    PERSON_NOT_FOUND = "PERSON_NOT_FOUND"
    COLLECTION_NOT_FOUND = "COLLECTION_NOT_FOUND"
    ERASURE_NOT_FOUND = "ERASURE_NOT_FOUND"
    CALIBRATION_NOT_FOUND = "CALIBRATION_NOT_FOUND"
    STORED_FACE_NOT_FOUND = "STORED_FACE_NOT_FOUND"
    CALIBRATION_UNSUPPORTED = "CALIBRATION_UNSUPPORTED"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    PERSON_EXISTS = "PERSON_EXISTS"
    PERSON_SUSPENDED = "PERSON_SUSPENDED"
    COLLECTION_EXISTS = "COLLECTION_EXISTS"
    COLLECTION_NOT_EMPTY = "COLLECTION_NOT_EMPTY"
    FACE_DUPLICATE = "FACE_DUPLICATE"
    FACE_INCONSISTENT = "FACE_INCONSISTENT"
    PERSON_FULL = "PERSON_FULL"
    OVERLOADED = "OVERLOADED"
    RATE_LIMITED = "RATE_LIMITED"
    ENCODER_UNAVAILABLE = "ENCODER_UNAVAILABLE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    KEY_MISSING = "KEY_MISSING"
    KEY_UNKNOWN = "KEY_UNKNOWN"
    NOT_PERMITTED = "NOT_PERMITTED"
    INTERNAL = "INTERNAL"
    # Set by the client: no service answered.
    UNREACHABLE = "UNREACHABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"


class FacerecError(Exception):
    """A failure that a caller can act on.

    Attributes:
        reason: Why the call failed.
        message: A sentence for people that says how to fix it.
        field: The path of the invalid field of the request, such as `items[2].probe.image`; "" where there is
            none.
        retry_after_seconds: How long to wait before a retry, in seconds; None where a retry does not help or
        the
            service does not say.
        metadata: Further values for programs, such as the `person_id` of FACE_DUPLICATE.

    Example:
        >>> try:
        ...     matcher.verify("nobody", photo)
        ... except FacerecError as error:
        ...     print(error.reason, error.field, error.retry_after_seconds)
        PERSON_NOT_FOUND person_id None
    """

    reason: Reason = Reason.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        retry_after_seconds: float | None = None,
        reason: Reason | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after_seconds = retry_after_seconds
        self.metadata = dict(metadata or {})
        if reason is not None:
            self.reason = reason

    def __copy__(self) -> Self:
        """A copy without the traceback, of subclasses too whose constructors take other arguments."""
        other = type(self).__new__(type(self), *self.args)
        other.__dict__.update(self.__dict__)
        return other
