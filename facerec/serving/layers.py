"""What is around every handler: layers, each put on once, when a service is registered.

gRPC's interceptors are asked at every call, each through a coroutine of its own, and all they could do for
us is hand back the same handler.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import grpc
import grpc.aio

Context = grpc.aio.ServicerContext[Any, Any]
Layer = Callable[[str, Any], Any]
"""Takes a method, `/SERVICE/METHOD`, and its handler, and returns the handler to put in its place."""

HEALTH = "/grpc.health.v1.Health/"
"""How the methods of health begin, which probes without a key may call again and again."""


class LayeredServer:
    """Takes a server's place while services are registered, so that none goes without the layers.

    The first layer is the outermost.
    """

    def __init__(self, server: grpc.aio.Server, layers: Sequence[Layer]) -> None:
        self._server = server
        self._layers = layers

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Register methods by name, which gRPC looks up first."""
        wrapped = {method: self._wrap(f"/{service}/{method}", handlers[method]) for method in handlers}
        self._server.add_registered_method_handlers(service, wrapped)

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Register handlers that are asked for a method."""
        self._server.add_generic_rpc_handlers(tuple(_Asked(each, self._wrap) for each in handlers))

    def _wrap(self, method: str, handler: Any) -> Any:
        for layer in reversed(self._layers):
            handler = layer(method, handler)
        return handler


class _Asked(grpc.GenericRpcHandler):
    """What another says of a method, wrapped the first time."""

    def __init__(self, asked: grpc.GenericRpcHandler, wrap: Layer) -> None:
        self._asked = asked
        self._wrap = wrap
        self._wrapped: dict[str, Any] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The wrapped handler; None for a method that the other does not know."""
        method = str(handler_call_details.method)
        if method not in self._wrapped:
            handler = self._asked.service(handler_call_details)
            if handler is None:  # not kept: unknown names are without number
                return None
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]


def kind(handler: Any) -> str:
    """unary_unary, unary_stream, stream_unary or stream_stream."""
    requests = "stream" if handler.request_streaming else "unary"
    answers = "stream" if handler.response_streaming else "unary"
    return f"{requests}_{answers}"


def behavior(handler: Any) -> tuple[Callable[..., Any], bool]:
    """What the handler does, a coroutine function or, where the second is true, an async generator's."""
    found = getattr(handler, kind(handler))
    return found, inspect.isasyncgenfunction(found)


def within(handler: Any, around: Callable[[Context], AbstractContextManager[Any]]) -> Any:
    """A handler that does the same within a context, which sees what it raises."""
    does, generates = behavior(handler)

    async def await_it(request: Any, context: Context) -> Any:
        with around(context):
            return await does(request, context)

    async def iterate(request: Any, context: Context) -> AsyncIterator[Any]:
        with around(context):
            async for answer in does(request, context):
                yield answer

    return made_anew(handler, iterate if generates else await_it)


KEPT = object()


def made_anew(handler: Any, does: Callable[..., Any], *, deserializer: Any = KEPT) -> Any:
    """A handler of the same kind that does something else."""
    return getattr(grpc, f"{kind(handler)}_rpc_method_handler")(
        does,
        request_deserializer=handler.request_deserializer if deserializer is KEPT else deserializer,
        response_serializer=handler.response_serializer,
    )
