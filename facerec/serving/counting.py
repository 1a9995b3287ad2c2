"""The interceptor that counts calls."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from facerec.serving.metrics import HANDLED, HANDLING_SECONDS, IN_FLIGHT, STARTED

Context = grpc.aio.ServicerContext[Any, Any]


class MetricsInterceptor(grpc.aio.ServerInterceptor):
    """Counts every call of a known method. The outermost interceptor, so that refused calls are counted."""

    def __init__(self) -> None:
        self._methods: dict[str, _Method] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler found for the call."""
        handler = await continuation(handler_call_details)
        if handler is None:  # unknown: its name is the caller's own text, and no label
            return None
        name = str(handler_call_details.method)
        method = self._methods.get(name)
        if method is None:
            method = self._methods[name] = _Method(name, handler)
        return method.wrap(handler)


class _Method:
    """The counters of one method, found once."""

    def __init__(self, name: str, handler: Any) -> None:
        requests = "stream" if handler.request_streaming else "unary"
        answers = "stream" if handler.response_streaming else "unary"
        self._kind = f"{requests}_{answers}"
        service, _, method = name.lstrip("/").partition("/")
        self._labels = (self._kind, service, method)
        self._started = STARTED.labels(*self._labels)
        self._seconds = HANDLING_SECONDS.labels(*self._labels)
        self._codes: dict[str, Any] = {}

    def wrap(self, handler: Any) -> Any:
        """The same handler, counted."""
        behavior = getattr(handler, self._kind)
        counted = (self._generating if inspect.isasyncgenfunction(behavior) else self._awaiting)(behavior)
        return getattr(grpc, f"{self._kind}_rpc_method_handler")(
            counted,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _awaiting(self, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def handle(request: Any, context: Context) -> Any:
            began = self._begin()
            code = "OK"
            try:
                return await behavior(request, context)
            except BaseException as error:
                code = _code(error, context)
                raise
            finally:
                self._end(began, code)

        return handle

    def _generating(self, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def handle(request: Any, context: Context) -> Any:
            began = self._begin()
            code = "OK"
            try:
                async for answer in behavior(request, context):
                    yield answer
            except BaseException as error:
                code = _code(error, context)
                raise
            finally:
                self._end(began, code)

        return handle

    def _begin(self) -> float:
        self._started.inc()
        IN_FLIGHT.inc()
        return time.perf_counter()

    def _end(self, began: float, code: str) -> None:
        IN_FLIGHT.dec()
        self._seconds.observe(time.perf_counter() - began)
        counter = self._codes.get(code)
        if counter is None:
            counter = self._codes[code] = HANDLED.labels(*self._labels, code)
        counter.inc()


def _code(error: BaseException, context: Context) -> str:
    if isinstance(error, asyncio.CancelledError | GeneratorExit):  # the caller hung up or ran out of time
        return "CANCELLED"
    code = context.code()
    if isinstance(code, int):
        return next((each.name for each in grpc.StatusCode if each.value[0] == code), "UNKNOWN")
    return code.name if code else "UNKNOWN"
