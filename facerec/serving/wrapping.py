"""What every interceptor of ours is made of: a handler is wrapped once, not at every call."""

import contextlib
import inspect
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

Context = grpc.aio.ServicerContext[Any, Any]

HEALTH = "/grpc.health.v1.Health/"
"""How the methods of health begin, which probes without a key may call again and again."""


class WrappingInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handler found for a call. An unknown method stays gRPC's own to answer."""

    def __init__(self) -> None:
        self._wrapped: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler for the call, wrapped."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = str(handler_call_details.method)
        known = self._wrapped.get(method)
        if known is None or known[0] is not handler:
            known = self._wrapped[method] = (handler, self.wrap(method, handler))
        return known[1]

    @abstractmethod
    def wrap(self, method: str, handler: Any) -> Any:
        """A handler in the place of this one, of the method `/SERVICE/METHOD`."""


def kind(handler: Any) -> str:
    """unary_unary, unary_stream, stream_unary or stream_stream."""
    requests = "stream" if handler.request_streaming else "unary"
    answers = "stream" if handler.response_streaming else "unary"
    return f"{requests}_{answers}"


def behavior(handler: Any) -> tuple[Callable[..., Any], bool]:
    """What the handler does, a coroutine function or, where the second is true, an async generator's."""
    found = getattr(handler, kind(handler))
    return found, inspect.isasyncgenfunction(found)


def within(handler: Any, around: Callable[[Context], contextlib.AbstractAsyncContextManager[Any]]) -> Any:
    """A handler that does the same within a context, which sees what it raises."""
    does, generates = behavior(handler)

    async def await_it(request: Any, context: Context) -> Any:
        async with around(context):
            return await does(request, context)

    async def iterate(request: Any, context: Context) -> AsyncIterator[Any]:
        async with around(context):
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
