"""The middleware that counts calls and writes the access log."""

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
    """Counts every call of a known method, refused ones too: only the tracing middleware is further out.

    `log_calls` says which calls are logged: all, failed or off; health checks never are. Unknown methods are
    not counted: their names are text of the caller and must not become labels.
    """

    def __init__(self, log_calls: LogCalls = "failed") -> None:
        self._log_calls = log_calls
        self.access_log = AccessLog()

    def __call__(self, method: Method, handler: Handler) -> Handler:
        """Wrap a handler so that its calls are counted."""
        calls = CALLS.of_method(method.kind, method.service, method.name)
        log_calls = "off" if method.is_health else self._log_calls
        log, log_all, name = self.access_log, log_calls == "all", method.name
        log_failed = log_calls != "off"

        async def handle(request: Any, context: Context) -> Any:
            current_call = call.begin(context.invocation_metadata(), context.peer)
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
                    # Without the error's message and the request, which may name a person.
                    log.add(name, code, seconds, current_call)

        return handle


def code_of(error: BaseException, context: Context) -> str:
    """The name of the status code that a call ends with after its handler has raised `error`."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):  # the caller hung up or ran out of time
        return "CANCELLED"
    code = context.code()
    if isinstance(code, int):
        return next((each.name for each in grpc.StatusCode if each.value[0] == code), "UNKNOWN")
    return code.name if code else "UNKNOWN"
