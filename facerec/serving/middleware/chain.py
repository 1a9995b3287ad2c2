"""The middleware chain: each middleware wraps every handler once, when a service is registered.

gRPC's own interceptors run a coroutine each at every call, only to return the same handler again. Nor can
they refuse a caller by its certificate before its message is read.

To a middleware every method is a coroutine function of a request and a context. A streaming method writes its
answers to the context, so that the whole call runs within its middleware. Outside of `RequestReader` the
request is gRPC's iterator of bytes, not yet read; inside it is parsed. Outside of `AnswerWriter` answers are
bytes; inside they are messages.
"""

import asyncio
import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import grpc
import grpc.aio

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Callable[[Any, Context], Awaitable[Any]]
Middleware = Callable[["Method", Handler], Handler]
"""Takes a method and its handler, and returns the handler to call instead."""

_HEALTH = "/grpc.health.v1.Health/"


@dataclasses.dataclass(frozen=True)
class Method:
    """A method of a service; `parse` makes a message of a request's bytes, `serialize` bytes of an answer."""

    path: str  # /SERVICE/METHOD
    request_streaming: bool
    response_streaming: bool
    parse: Callable[[bytes], Any]
    serialize: Callable[[Any], bytes]

    @property
    def service(self) -> str:
        """The service's full name."""
        return self.path.split("/")[1]

    @property
    def name(self) -> str:
        """The method's own name."""
        return self.path.split("/")[2]

    @property
    def kind(self) -> str:
        """unary_unary, unary_stream, stream_unary or stream_stream."""
        return f"{_kind(self.request_streaming)}_{_kind(self.response_streaming)}"

    @property
    def is_health(self) -> bool:
        """Whether it is a health check, which needs no key and may be called often."""
        return self.path.startswith(_HEALTH)


class MiddlewareServer:
    """Passed in place of a server when services are registered: wraps each handler in the middleware.

    The first of `middleware` is the outermost.
    """

    def __init__(self, server: grpc.aio.Server, middleware: Sequence[Middleware]) -> None:
        self._server = server
        self._middleware = middleware

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Register methods by name."""
        wrapped = {method: self._wrap(f"/{service}/{method}", handlers[method]) for method in handlers}
        self._server.add_registered_method_handlers(service, wrapped)

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Do nothing: generated code registers the same methods by name too, and only those are served."""

    def _wrap(self, path: str, handler: Any) -> Any:
        method = Method(
            path,
            handler.request_streaming,
            handler.response_streaming,
            handler.request_deserializer or bytes,
            handler.response_serializer or bytes,
        )
        inner = _as_coroutine(getattr(handler, method.kind))
        for each in reversed(self._middleware):
            inner = each(method, inner)
        if method.response_streaming:
            inner = _with_shielded_writes(inner)
        # On the wire a unary request is a stream of one message. Registered as a stream, it is read only when
        # the request reader asks for it. gRPC does not parse it either: it would report an invalid message as
        # an internal error. Answers are serialized by the answer writer, which counts their bytes.
        make = (
            grpc.stream_stream_rpc_method_handler
            if method.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return make(inner, request_deserializer=None, response_serializer=None)


def _with_shielded_writes(inner: Handler) -> Handler:
    async def handle(request: Any, context: Context) -> Any:
        return await inner(request, cast(Context, _ShieldedWrites(context)))

    return handle


class _ShieldedWrites:
    """A context whose call can be aborted while the caller has not read an answer yet.

    gRPC accepts no status before that answer is read. So `abort` waits for it, until the caller reads it or
    goes away.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._writing: asyncio.Task[None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, answer: Any) -> None:
        """Write an answer; the write goes on if the task that waits for it is cancelled."""
        self._writing = asyncio.ensure_future(self._context.write(answer))
        self._writing.add_done_callback(_retrieve_error)
        await asyncio.shield(self._writing)

    async def abort(self, *status: Any) -> None:
        """End the call with a status, once the previous answer has been read."""
        if self._writing:
            await asyncio.wait([self._writing])
        await self._context.abort(*status)


def _retrieve_error(writing: "asyncio.Task[None]") -> None:
    """Retrieve the error of a write whose caller went away, so that asyncio does not log it."""
    if not writing.cancelled():
        writing.exception()


def host(context: Context) -> str:
    """The peer's address without its port: one host may open any number of connections."""
    return str(context.peer()).rpartition(":")[0]


def _kind(streaming: bool) -> str:
    return "stream" if streaming else "unary"


def _as_coroutine(inner: Any) -> Handler:
    """The handler as a coroutine function, which writes the items of an async generator to the context.

    gRPC would write them itself, outside of the middleware.
    """
    if not inspect.isasyncgenfunction(inner):
        return inner  # type: ignore[no-any-return]

    async def write_all(request: Any, context: Context) -> None:
        answers = inner(request, context)
        try:
            async for answer in answers:
                await context.write(answer)
        finally:
            await answers.aclose()

    return write_all
