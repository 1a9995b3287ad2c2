"""HTTP calls to a gateway, over connections of their own."""

import dataclasses
import http.client
import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from google.protobuf import any_pb2
from google.rpc import error_details_pb2

NOTHING: Mapping[str, str] = {}
JSON = {"content-type": "application/json"}


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer: its status, headers by lower-case name, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """The reason of an error's ErrorInfo."""
        return self.detail(error_details_pb2.ErrorInfo()).reason  # type: ignore[no-any-return]

    @property
    def field(self) -> str:
        """The field that an error names."""
        return self.detail(error_details_pb2.BadRequest()).field_violations[0].field  # type: ignore[no-any-return]

    def detail(self, kind: Any) -> Any:
        """The detail of this class, from its bytes."""
        for packed in details(self.json):
            if packed.Unpack(kind):
                return kind
        raise AssertionError(self.body)


def details(error: Mapping[str, Any]) -> list[any_pb2.Any]:
    """The details of an error in Connect's JSON."""
    return [
        any_pb2.Any(type_url=f"type.googleapis.com/{each['type']}", value=b64decode(each["value"] + "==="))
        for each in error.get("details", [])
    ]


def send(
    address: str,
    verb: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] = NOTHING,
    *,
    context: Any = None,
) -> Answer:
    """Send a request and read the answer, over TLS with a context."""
    connection = (
        http.client.HTTPSConnection(address, context=context, timeout=120)
        if context
        else http.client.HTTPConnection(address, timeout=120)
    )
    try:
        connection.request(verb, path, body, dict(headers))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def post(address: str, path: str, message: Any, headers: Mapping[str, str] = NOTHING) -> Answer:
    """Send JSON."""
    return send(address, "POST", path, json.dumps(message).encode(), {**JSON, **headers})


def form(parts: list[tuple[str, str | bytes]]) -> tuple[bytes, dict[str, str]]:
    """A form as curl -F sends it, bytes as files; returns its body and headers."""
    boundary = "------------------------boundary-7f3a"
    body = b""
    for name, value in parts:
        file = '; filename="photo.jpg"\r\nContent-Type: image/jpeg' if isinstance(value, bytes) else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        body += head.encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return body, {"content-type": f"multipart/form-data; boundary={boundary}"}


def post_form(
    address: str, path: str, parts: list[tuple[str, str | bytes]], headers: Mapping[str, str] = NOTHING
) -> Answer:
    """Send a form."""
    body, own = form(parts)
    return send(address, "POST", path, body, {**own, **headers})
