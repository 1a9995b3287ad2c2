"""Stubs that call a gateway as Connect does, in the place of gRPC's own."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf.json_format import MessageToJson, Parse
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2
from grpc_status import rpc_status

from facerec.gateway.methods import METHODS, Method
from tests.e2e.gateway import http


class ConnectStub:
    """Has every method of a service, called in JSON or in protobuf."""

    def __init__(self, address: str, service: str, codec: str = "json") -> None:
        for path, method in METHODS.items():
            if method.service == service:
                setattr(self, method.name, _Caller(address, path, method, codec))


class _Caller:
    def __init__(self, address: str, path: str, method: Method, codec: str) -> None:
        self._address, self._path, self._method, self._codec = address, path, method, codec

    def __call__(self, request: Any, metadata: Any = (), timeout: float | None = None) -> Any:
        if self._method.kind == "unary_unary":
            return self._unary(request, dict(metadata))
        answers = self._stream(request, dict(metadata))
        return answers if self._method.response_streaming else anext(answers)

    async def _unary(self, request: Message, headers: dict[str, str]) -> Message:
        headers["content-type"] = f"application/{self._codec}"
        answer = await asyncio.to_thread(
            http.send, self._address, "POST", self._path, self._encode(request), headers
        )
        if answer.status != 200:
            raise _error(answer.json)
        return self._decode(answer.body)

    async def _stream(self, request: Any, headers: dict[str, str]) -> AsyncIterator[Message]:
        requests = [request] if isinstance(request, Message) else request
        headers["content-type"] = f"application/connect+{self._codec}"
        body = b"".join(envelope(self._encode(each)) for each in requests)
        answer = await asyncio.to_thread(http.send, self._address, "POST", self._path, body, headers)
        assert answer.status == 200, answer
        messages, end = envelopes(answer.body)
        for message in messages:
            yield self._decode(message)
        if "error" in end:
            raise _error(end["error"])

    def _encode(self, message: Message) -> bytes:
        return message.SerializeToString() if self._codec == "proto" else MessageToJson(message).encode()

    def _decode(self, data: bytes) -> Message:
        kind = self._method.response
        return kind.FromString(data) if self._codec == "proto" else Parse(data, kind())


def envelope(data: bytes, flags: int = 0) -> bytes:
    """A message as streams have it."""
    return struct.pack(">BI", flags, len(data)) + data


def envelopes(body: bytes) -> tuple[list[bytes], Any]:
    """The messages of a stream, and its end."""
    found: list[bytes] = []
    while body:
        flags, size = struct.unpack(">BI", body[:5])
        data, body = body[5 : 5 + size], body[5 + size :]
        if flags & 2:
            assert not body
            return found, json.loads(data)
        found.append(data)
    raise AssertionError("the stream has no end")


def _error(found: Any) -> grpc.aio.AioRpcError:
    name = "CANCELLED" if found["code"] == "canceled" else found["code"].upper()
    status = status_pb2.Status(
        code=code_pb2.Code.Value(name), message=found.get("message", ""), details=http.details(found)
    )
    sent = rpc_status.to_status(status)
    return grpc.aio.AioRpcError(
        sent.code, grpc.aio.Metadata(), grpc.aio.Metadata(*sent.trailing_metadata), sent.details
    )
