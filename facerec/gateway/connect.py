"""The endpoints of Connect and gRPC-Web: every method of the contract, forwarded."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint

from facerec.gateway.forwarding import Forwarder
from facerec.gateway.messages import Answer, JsonCodec, ProtobufCodec, Request
from facerec.gateway.methods import METHODS, Method

Context = RequestContext[Any, Any]


class ConnectApplication(ConnectASGIApplication[Forwarder]):
    """The ASGI application of all methods. It compresses nothing, as the services don't."""

    def __init__(self, forwarder: Forwarder, max_message_bytes: int) -> None:
        super().__init__(
            service=forwarder,
            endpoints=lambda service: {path: _endpoint(service, each) for path, each in METHODS.items()},
            read_max_bytes=max_message_bytes,
            compressions=(),
            codecs=(ProtobufCodec(), JsonCodec()),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a call; the JSON of an error ends with a line end, as that of other answers does."""
        is_error = False

        async def ending_lines(event: Any) -> None:
            nonlocal is_error
            if event["type"] == "http.response.start":
                is_error = event["status"] >= HTTPStatus.BAD_REQUEST
            elif is_error and event["body"]:
                event = {**event, "body": event["body"] + b"\n"}
            await send(event)

        await super().__call__(scope, receive, ending_lines)

    @property
    def path(self) -> str:
        """The path that all methods have in common."""
        return "/"


def _endpoint(forwarder: Forwarder, method: Method) -> Any:
    match method.kind:
        case "unary_unary":
            return Endpoint.unary(_info(method, StreamType.UNARY), _unary(forwarder, method))
        case "stream_unary":
            info = _info(method, StreamType.CLIENT_STREAM)
            return Endpoint.client_stream(info, _collect(forwarder, method))
        case "unary_stream":
            info = _info(method, StreamType.SERVER_STREAM)
            return Endpoint.server_stream(info, _stream(forwarder, method))
        case _:
            return Endpoint.bidi_stream(_info(method, StreamType.BIDI_STREAM), _converse(forwarder, method))


def _info(method: Method, stream_type: StreamType) -> MethodInfo[Any, Any]:
    return MethodInfo(
        name=method.name,
        service_name=method.service,
        input=method.request,
        output=method.response,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=stream_type,
    )


def _unary(forwarder: Forwarder, method: Method) -> Any:
    async def call(request: Request, context: Context) -> Answer:
        data = await forwarder.unary(method, request.data, _timeout_seconds(context))
        return Answer(data, method.response)

    return call


def _collect(forwarder: Forwarder, method: Method) -> Any:
    async def call(requests: AsyncIterator[Request], context: Context) -> Answer:
        data = await forwarder.collect(method, requests, _timeout_seconds(context))
        return Answer(data, method.response)

    return call


def _stream(forwarder: Forwarder, method: Method) -> Any:
    async def call(request: Request, context: Context) -> AsyncIterator[Answer]:
        async for data in forwarder.stream(method, request.data, _timeout_seconds(context)):
            yield Answer(data, method.response)

    return call


def _converse(forwarder: Forwarder, method: Method) -> Any:
    async def call(requests: AsyncIterator[Request], context: Context) -> AsyncIterator[Answer]:
        async for data in forwarder.converse(method, requests, _timeout_seconds(context)):
            yield Answer(data, method.response)

    return call


def _timeout_seconds(context: Context) -> float | None:
    left_ms = context.timeout_ms
    return None if left_ms is None else max(0.001, left_ms / 1000)
