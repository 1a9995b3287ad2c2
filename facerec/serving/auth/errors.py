"""Why a call is not authenticated or authorized.

FacerecError
+-- KeyMissing      neither a key nor a known certificate
+-- KeyUnknown      a key that is not in the file, or that has expired
+-- NotPermitted    the caller is known and lacks a permission
+-- RateLimited     more probes than its rate allows
"""

from facerec.errors import FacerecError, Reason


class KeyMissing(FacerecError):
    """The call has neither a key nor a known certificate."""

    reason = Reason.KEY_MISSING


class KeyUnknown(FacerecError):
    """The key is not in the file, or it has expired."""

    reason = Reason.KEY_UNKNOWN


class NotPermitted(FacerecError):
    """The caller is known and lacks the permission for this call."""

    reason = Reason.NOT_PERMITTED


class RateLimited(FacerecError):
    """The caller sends more probes than its rate allows."""

    reason = Reason.RATE_LIMITED
