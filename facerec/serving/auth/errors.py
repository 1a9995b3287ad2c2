"""Why a call is not admitted.

FacerecError
+-- KeyMissing      neither a key nor a known certificate
+-- KeyUnknown      a key that is not in the file, or that has expired
+-- NotPermitted    known, and not entitled to this
+-- RateLimited     more probes than its rate allows
"""

from facerec.errors import FacerecError, Reason


class KeyMissing(FacerecError):
    """The call brings neither a key nor a certificate that is known."""

    reason = Reason.KEY_MISSING


class KeyUnknown(FacerecError):
    """The key is not in the file, or it has expired."""

    reason = Reason.KEY_UNKNOWN


class NotPermitted(FacerecError):
    """The caller is known and not entitled to this."""

    reason = Reason.NOT_PERMITTED


class RateLimited(FacerecError):
    """The caller sends more probes than its rate allows."""

    reason = Reason.RATE_LIMITED
