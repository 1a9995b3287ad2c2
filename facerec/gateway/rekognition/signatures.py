"""Checks signatures of requests: AWS Signature Version 4, as its public specification has it.

A signature covers the method, the path, the signed headers and the body, at a time. It does not say that a
request is new: on a plain connection one that is overheard can be sent again for MAX_SKEW.
"""

import dataclasses
import datetime
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Final

from facerec.errors import Reason
from facerec.gateway.rekognition.errors import UNKNOWN_KEY, Refused

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SERVICE: Final = "rekognition"
MAX_SKEW: Final = datetime.timedelta(minutes=5)
_TIME_FORMAT: Final = "%Y%m%dT%H%M%SZ"
_TIME: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_AUTHORIZATION: Final = re.compile(
    rf"{ALGORITHM} +Credential=([A-Za-z0-9_-]+)/([0-9]{{8}})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request,"
    r" *SignedHeaders=([a-z0-9;-]+), *Signature=([0-9a-f]{64})"
)


@dataclasses.dataclass(frozen=True)
class Signature:
    """What the headers of a signed request say: who signed what, when.

    Attributes:
        access_key_id: The access key.
        scope: The credential scope, `DATE/REGION/rekognition/aws4_request`.
        time: The header X-Amz-Date.
        headers: The signed headers with their values, in order of their names.
        digest: The signature, in hexadecimal.
    """

    access_key_id: str
    scope: str
    time: str
    headers: tuple[tuple[str, str], ...]
    digest: str

    def check(self, secret: str, body: bytes) -> None:
        """Raises Refused unless the secret's owner signed this body."""
        expected = sign(self, secret, hashlib.sha256(body).hexdigest())
        if not hmac.compare_digest(expected, self.digest):
            raise _refused(
                "the signature is not that of this request: check the secret access key, and that nothing "
                "between changes the body or the header Host"
            )


def joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers of a request by lower-case name, in the canonical form: values of one name are joined."""
    found: dict[str, str] = {}
    for name, value in headers:
        key, text = name.decode("latin-1").lower(), " ".join(value.decode("latin-1").split())
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def read(headers: Mapping[str, str], now: datetime.datetime) -> Signature:
    """The signature of a request with these headers (`joined`), as yet unchecked.

    Raises Refused if there is none, if it was not made within MAX_SKEW of `now`, or if it does not cover the
    host and every header X-Amz-*.
    """
    if "authorization" not in headers:
        raise Refused(
            "MissingAuthenticationTokenException",
            "the request is not signed: give the client an access key",
            Reason.KEY_MISSING,
        )
    found = _AUTHORIZATION.fullmatch(headers["authorization"])
    if found is None:
        raise _refused(
            f"the header Authorization is not of the form of {ALGORITHM}", "IncompleteSignatureException"
        )
    access_key_id, date, region, service, names, digest = found.groups()
    if service != SERVICE:
        raise _refused(f"the request is signed for {service}, not for {SERVICE}")
    if "x-amz-security-token" in headers:
        raise _refused("session tokens are not known here: sign with an access key alone", UNKNOWN_KEY)
    time = headers.get("x-amz-date", "")
    _check_time(time, date, now)
    signed = _signed(names.split(";"), headers)
    return Signature(access_key_id, f"{date}/{region}/{service}/aws4_request", time, signed, digest)


def _check_time(time: str, date: str, now: datetime.datetime) -> None:
    try:
        made = datetime.datetime.strptime(time if _TIME.fullmatch(time) else "", _TIME_FORMAT)
    except ValueError:
        raise _refused(
            "the header X-Amz-Date has the form 20261129T120000Z", "IncompleteSignatureException"
        ) from None
    if abs(made.replace(tzinfo=datetime.UTC) - now) > MAX_SKEW:
        raise _refused(f"the request was signed at {time}; here it is {now:{_TIME_FORMAT}}: set the clock")
    if not time.startswith(date):
        raise _refused("the credential's date is not that of X-Amz-Date")


def _signed(names: list[str], headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    required = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    if left_out := required.difference(names):
        raise _refused(f"the header {min(left_out)} is not signed")
    if names != sorted(set(names)) or not headers.keys() >= set(names):
        raise _refused("SignedHeaders lists headers of the request, sorted", "IncompleteSignatureException")
    return tuple((name, headers[name]) for name in names)


def sign(signature: Signature, secret: str, body_digest: str) -> str:
    """The signature that a secret gives to a POST to `/` without a query, in hexadecimal."""
    headers = "".join(f"{name}:{value}\n" for name, value in signature.headers)
    names = ";".join(name for name, _ in signature.headers)
    request = f"POST\n/\n\n{headers}\n{names}\n{body_digest}".encode("latin-1")
    digest = hashlib.sha256(request).hexdigest()
    text = f"{ALGORITHM}\n{signature.time}\n{signature.scope}\n{digest}"
    key = f"AWS4{secret}".encode()
    for part in signature.scope.split("/"):
        key = _hmac(key, part)
    return _hmac(key, text).hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _refused(message: str, name: str = "InvalidSignatureException") -> Refused:
    return Refused(name, message, Reason.KEY_UNKNOWN)
