"""Signed calls in Rekognition's protocol, as its SDKs send them: a signer of the tests' own."""

import base64
import datetime
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from tests.e2e.gateway import http

ACCESS_KEY, SECRET = "door-1", "the-secret-of-door-1"
CONTENT_TYPE = "application/x-amz-json-1.1"
NOTHING: Mapping[str, str] = {}


def _chain(secret: str, *parts: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in parts:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def signed_headers(
    address: str,
    call: str,
    body: bytes,
    *,
    access_key: str = ACCESS_KEY,
    secret: str = SECRET,
    skew_seconds: float = 0,
    service: str = "rekognition",
    more: Mapping[str, str] = NOTHING,
) -> dict[str, str]:
    """The headers of a call, of which all are signed."""
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=skew_seconds)
    time, date = f"{now:%Y%m%dT%H%M%SZ}", f"{now:%Y%m%d}"
    headers = {
        "content-type": CONTENT_TYPE,
        "host": address,
        "x-amz-date": time,
        "x-amz-target": f"RekognitionService.{call}",
        **more,
    }
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    request = "\n".join(["POST", "/", "", *lines, "", names, hashlib.sha256(body).hexdigest()])
    scope = f"{date}/eu-central-1/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()])
    digest = hmac.new(_chain(secret, *scope.split("/")), text.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={access_key}/{scope}, SignedHeaders={names}, Signature={digest}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {credential}"}


def send(address: str, call: str, body: bytes, **signing: Any) -> http.Answer:
    """Send a signed call."""
    return http.send(address, "POST", "/", body, signed_headers(address, call, body, **signing))


def call(address: str, name: str, **parameters: Any) -> Any:
    """What a call answers, signed with `key` and `secret`; bytes go as base64. It must succeed."""
    answer = _call(address, name, parameters)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == CONTENT_TYPE
    return answer.json


def refusal(address: str, name: str, **parameters: Any) -> str:
    """The exception that a call is refused with, signed with `key` and `secret`."""
    return exception(_call(address, name, parameters))


def _call(address: str, name: str, parameters: dict[str, Any]) -> http.Answer:
    signing = {"access_key": parameters.pop("key", ACCESS_KEY), "secret": parameters.pop("secret", SECRET)}
    body = json.dumps(parameters, default=lambda data: base64.b64encode(data).decode()).encode()
    return send(address, name, body, **signing)


def exception(answer: http.Answer) -> str:
    """The exception of an error, which has the form of all."""
    assert answer.status == (500 if answer.json["__type"] == "InternalServerError" else 400), answer
    assert answer.headers["x-amzn-requestid"] == answer.headers["x-request-id"]
    assert set(answer.json) == {"__type", "Message"}
    assert answer.json["Message"]
    return str(answer.json["__type"])
