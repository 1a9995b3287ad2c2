"""What is around every handler: layers, each put on once, when a service is registered.

gRPC's interceptors are asked at every call, each through a coroutine of its own, and all they could do for us
is hand back the same handler. Nor can they refuse a caller by its certificate before its message is read.

To a layer every method is one coroutine function of a request and a context. Answers that stream are written
to the context, so that a call's whole life is within its layers. Requests are read by the layer
`RequestReader`; outside of it a layer finds gRPC's iterator of bytes in their place, of which nothing has
been read. Answers are made bytes by the layer `AnswerWriter`; outside of it a layer finds bytes.
"""

import asyncio
import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import grpc
import grpc.aio

Context = grpc.aio.ServicerContext[Any, Any]
Does = Callable[[Any, Context], Awaitable[Any]]
Layer = Callable[["Method", Does], Does]
"""Takes a method and what it does, and returns what it is to do instead."""

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


class LayeredServer:
    """Takes a server's place while services are registered, so that none goes without the layers.

    The first layer is the outermost.
    """

    def __init__(self, server: grpc.aio.Server, layers: Sequence[Layer]) -> None:
        self._server = server
        self._layers = layers

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
        does = _coroutine(getattr(handler, method.kind))
        for layer in reversed(self._layers):
            does = layer(method, does)
        if method.response_streaming:
            does = _with_whole_writes(does)
        # On the wire one message is a stream of one: so it is for us to say when it is read, and whether. Nor
        # does gRPC make messages of the bytes: what is none would be a fault of ours to it. Nor bytes of the
        # answers: how many they are is counted first.
        make = (
            grpc.stream_stream_rpc_method_handler
            if method.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return make(does, request_deserializer=None, response_serializer=None)


def _with_whole_writes(does: Does) -> Does:
    async def handle(request: Any, context: Context) -> Any:
        return await does(request, cast(Context, _WholeWrites(context)))

    return handle


class _WholeWrites:
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
        self._writing.add_done_callback(_seen)
        await asyncio.shield(self._writing)

    async def abort(self, *status: Any) -> None:
        """End the call with a status once the answer before it is read."""
        if self._writing:
            await asyncio.wait([self._writing])
        await self._context.abort(*status)


def _seen(writing: "asyncio.Task[None]") -> None:
    """Its caller went away meanwhile, which ends the call by itself."""
    if not writing.cancelled():
        writing.exception()


def host(context: Context) -> str:
    """The peer's address without its port: whoever has no key may open as many connections as they like."""
    return str(context.peer()).rpartition(":")[0]


def _kind(streaming: bool) -> str:
    return "stream" if streaming else "unary"


def _coroutine(does: Any) -> Does:
    """What a generator yields is written by us, not by gRPC: a call that is ended meanwhile ends here."""
    if not inspect.isasyncgenfunction(does):
        return does  # type: ignore[no-any-return]

    async def write_all(request: Any, context: Context) -> None:
        answers = does(request, context)
        try:
            async for answer in answers:
                await context.write(answer)
        finally:
            await answers.aclose()

    return write_all
