"""What is around every handler: middleware, each put on once, when a service is registered.

gRPC's interceptors are asked at every call, each through a coroutine of its own, and all they could do for us
is hand back the same handler. Nor can they refuse a caller by its certificate before its message is read.

To a middleware every method is one coroutine function of a request and a context. Answers that stream are
written to the context, so that a call's whole life is within its middleware. Requests are read by
`RequestReader`; outside of it a middleware finds gRPC's iterator of bytes in their place, of which nothing
has been read. Answers are made bytes by `AnswerWriter`; outside of it a middleware finds bytes.
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
    """A method of a service.

    `parse` makes a message of a request's bytes, for the request reader, and `serialize` bytes of an answer,
    for the answer writer.
    """

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
        """Whether it is of health, which probes without a key may call again and again."""
        return self.path.startswith(_HEALTH)


class MiddlewareServer:
    """Takes a server's place while services are registered, so that none goes without the middleware.

    The first is the outermost.
    """

    def __init__(self, server: grpc.aio.Server, middleware: Sequence[Middleware]) -> None:
        self._server = server
        self._middleware = middleware

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Register methods by name."""
        wrapped = {method: self._wrap(f"/{service}/{method}", handlers[method]) for method in handlers}
        self._server.add_registered_method_handlers(service, wrapped)

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Nothing: generated code hands the same methods over by name, and no other is served."""

    def _wrap(self, path: str, handler: Any) -> Any:
        method = Method(
            path,
            handler.request_streaming,
            handler.response_streaming,
            handler.request_deserializer or bytes,
            handler.response_serializer or bytes,
        )
        inner = _coroutine(getattr(handler, method.kind))
        for each in reversed(self._middleware):
            inner = each(method, inner)
        if method.response_streaming:
            inner = _with_whole_writes(inner)
        # On the wire one message is a stream of one: so it is for us to say when it is read, and whether. Nor
        # does gRPC make messages of the bytes: what is none would be a fault of ours to it. Nor bytes of the
        # answers: how many they are is counted first.
        make = (
            grpc.stream_stream_rpc_method_handler
            if method.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return make(inner, request_deserializer=None, response_serializer=None)


def _with_whole_writes(inner: Handler) -> Handler:
    async def handle(request: Any, context: Context) -> Any:
        return await inner(request, cast(Context, _ShieldedWrites(context)))

    return handle


class _ShieldedWrites:
    """A context whose call can be ended while an answer waits to be read: gRPC takes no status until then.

    The wait for it is the last thing that the call does, for as long as its caller neither reads nor goes.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._writing: asyncio.Task[None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, answer: Any) -> None:
        """Write an answer, which goes on where whoever waits for it is cancelled."""
        self._writing = asyncio.ensure_future(self._context.write(answer))
        self._writing.add_done_callback(_take_error)
        await asyncio.shield(self._writing)

    async def abort(self, *status: Any) -> None:
        """End the call with a status once the answer before it is read."""
        if self._writing:
            await asyncio.wait([self._writing])
        await self._context.abort(*status)


def _take_error(writing: "asyncio.Task[None]") -> None:
    """Take the error of a write whose caller went away, which ends the call by itself."""
    if not writing.cancelled():
        writing.exception()


def host(context: Context) -> str:
    """The peer's address without its port: whoever has no key may open as many connections as they like."""
    return str(context.peer()).rpartition(":")[0]


def _kind(streaming: bool) -> str:
    return "stream" if streaming else "unary"


def _coroutine(inner: Any) -> Handler:
    """What a generator yields is written by us, not by gRPC: a call that is ended meanwhile ends here."""
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
