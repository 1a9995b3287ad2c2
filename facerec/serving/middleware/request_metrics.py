"""The middleware that counts calls and logs how each ended."""

import asyncio
import time
from typing import Any, Literal

import grpc

from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context, Handler, Method
from facerec.serving.observability.access_log import AccessLog
from facerec.serving.observability.metrics import CALLS

LogCalls = Literal["off", "failed", "all"]


class RequestMetrics:
    """Counts every call of a known method. Only traces are further out, so that refused calls are counted.

    `log_calls` says of which calls a line is logged: all, failed or off; health is never worth one. The name
    of an unknown method is the caller's own text, and no label.
    """

    def __init__(self, log_calls: LogCalls = "failed") -> None:
        self._log_calls = log_calls
        self.access_log = AccessLog()

    def __call__(self, method: Method, handler: Handler) -> Handler:
        """The same, counted."""
        calls = CALLS.of(method.kind, method.service, method.name)
        log_calls = "off" if method.is_health else self._log_calls
        log, log_all, name = self.access_log, log_calls == "all", method.name
        log_failed = log_calls != "off"

        async def handle(request: Any, context: Context) -> Any:
            present = call.begin(context.invocation_metadata(), context.peer)
            calls.begin()
            began = time.perf_counter()
            code = "OK"
            try:
                return await handler(request, context)
            except BaseException as error:
                code = code_of(error, context)
                raise
            finally:
                seconds = time.perf_counter() - began
                calls.end(code, seconds)
                if log_all or (log_failed and code != "OK"):
                    # Neither the message nor what the call was about, which may be a person.
                    log.add(name, code, seconds, present)

        return handle


def code_of(error: BaseException, context: Context) -> str:
    """The code that a call ends with by what its handler raised."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):  # the caller hung up or ran out of time
        return "CANCELLED"
    code = context.code()
    if isinstance(code, int):
        return next((each.name for each in grpc.StatusCode if each.value[0] == code), "UNKNOWN")
    return code.name if code else "UNKNOWN"
