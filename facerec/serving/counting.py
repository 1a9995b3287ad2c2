"""The interceptor that counts calls, gives each an id, and logs how it ended."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, Literal

import grpc
import structlog

from facerec.serving import caller, request_ids
from facerec.serving.metrics import HANDLED, HANDLING_SECONDS, IN_FLIGHT, STARTED
from facerec.serving.wrapping import HEALTH, Context, WrappingInterceptor, kind, within

LogCalls = Literal["off", "failed", "all"]

log = structlog.get_logger(__name__)


class MetricsInterceptor(WrappingInterceptor):
    """Counts every call of a known method. The outermost interceptor, so that refused calls are counted.

    A line is logged of every call, of those that failed, or of none; health is never worth one. The name
    of an unknown method is the caller's own text, and no label.
    """

    def __init__(self, log_calls: LogCalls = "failed") -> None:
        super().__init__()
        self._log_calls = log_calls

    def wrap(self, method: str, handler: Any) -> Any:
        """The same handler, counted."""
        return within(handler, _Method(method, handler, self._log_calls).counted)


class _Method:
    """A method with its counters, found once."""

    def __init__(self, name: str, handler: Any, log_calls: LogCalls) -> None:
        service, _, method = name.lstrip("/").partition("/")
        self._labels = (kind(handler), service, method)
        self._started = STARTED.labels(*self._labels)
        self._seconds = HANDLING_SECONDS.labels(*self._labels)
        self._codes: dict[str, Any] = {}
        self._name = method
        self._log_calls = "off" if name.startswith(HEALTH) else log_calls

    @contextlib.asynccontextmanager
    async def counted(self, context: Context) -> AsyncIterator[None]:
        """Around a call."""
        began = self._begin(context)
        code = "OK"
        try:
            yield
        except BaseException as error:
            code = code_of(error, context)
            raise
        finally:
            self._end(began, code)

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


def code_of(error: BaseException, context: Context) -> str:
    """The code that a call ends with by what its handler raised."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):  # the caller hung up or ran out of time
        return "CANCELLED"
    code = context.code()
    if isinstance(code, int):
        return next((each.name for each in grpc.StatusCode if each.value[0] == code), "UNKNOWN")
    return code.name if code else "UNKNOWN"
