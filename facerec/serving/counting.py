"""The interceptor that counts calls, gives each an id, and logs how it ended."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import grpc
import grpc.aio
import structlog

from facerec.serving import caller, request_ids
from facerec.serving.metrics import HANDLED, HANDLING_SECONDS, IN_FLIGHT, STARTED

HEALTH = "/grpc.health.v1.Health/"

Context = grpc.aio.ServicerContext[Any, Any]
LogCalls = Literal["off", "failed", "all"]

log = structlog.get_logger(__name__)


class MetricsInterceptor(grpc.aio.ServerInterceptor):
    """Counts every call of a known method. The outermost interceptor, so that refused calls are counted.

    A line is logged of every call, of those that failed, or of none; health is never worth one.
    """

    def __init__(self, log_calls: LogCalls = "failed") -> None:
        self._log_calls = log_calls
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
            method = self._methods[name] = _Method(name, handler, self._log_calls)
        return method.wrap(handler)


class _Method:
    """The counters of one method, found once."""

    def __init__(self, name: str, handler: Any, log_calls: LogCalls) -> None:
        requests = "stream" if handler.request_streaming else "unary"
        answers = "stream" if handler.response_streaming else "unary"
        self._kind = f"{requests}_{answers}"
        service, _, method = name.lstrip("/").partition("/")
        self._labels = (self._kind, service, method)
        self._started = STARTED.labels(*self._labels)
        self._seconds = HANDLING_SECONDS.labels(*self._labels)
        self._codes: dict[str, Any] = {}
        self._name = method
        self._log_calls = "off" if name.startswith(HEALTH) else log_calls

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
            began = self._begin(context)
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
            began = self._begin(context)
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

    def _begin(self, context: Context) -> float:
        request_ids.enter(context.invocation_metadata())
        self._started.inc()
        IN_FLIGHT.inc()
        return time.perf_counter()

    def _end(self, began: float, code: str) -> None:
        IN_FLIGHT.dec()
        seconds = time.perf_counter() - began
        self._seconds.observe(seconds)
        counter = self._codes.get(code)
        if counter is None:
            counter = self._codes[code] = HANDLED.labels(*self._labels, code)
        counter.inc()
        if self._log_calls == "all" or (self._log_calls == "failed" and code != "OK"):
            # Neither the message nor what the call was about, which may be somebody.
            log.info("call", method=self._name, code=code, seconds=round(seconds, 4), caller=caller.name())


def _code(error: BaseException, context: Context) -> str:
    if isinstance(error, asyncio.CancelledError | GeneratorExit):  # the caller hung up or ran out of time
        return "CANCELLED"
    code = context.code()
    if isinstance(code, int):
        return next((each.name for each in grpc.StatusCode if each.value[0] == code), "UNKNOWN")
    return code.name if code else "UNKNOWN"
