"""The layer that counts calls and logs how each ended."""

import asyncio
import time
from types import TracebackType
from typing import Any, Literal

import grpc

from facerec.serving import call
from facerec.serving.call_log import CallLog
from facerec.serving.call_metrics import MethodCalls
from facerec.serving.layers import HEALTH, Context, kind, within
from facerec.serving.metrics import CALLS

LogCalls = Literal["off", "failed", "all"]


class Counting:
    """Counts every call of a known method. The outermost layer but traces, so that refused calls are counted.

    A line is logged of every call, of those that failed, or of none; health is never worth one. The name
    of an unknown method is the caller's own text, and no label.
    """

    def __init__(self, log_calls: LogCalls = "failed") -> None:
        self._log_calls = log_calls
        self.log = CallLog()

    def __call__(self, method: str, handler: Any) -> Any:
        """The same handler, counted."""
        service, _, name = method.lstrip("/").partition("/")
        calls = CALLS.of(kind(handler), service, name)
        log_calls = "off" if method.startswith(HEALTH) else self._log_calls
        log = self.log if log_calls != "off" else None
        return within(handler, lambda context: _Counted(context, calls, name, log, log_calls == "all"))


class _Counted:
    """Around a call. A class, because a generator's context manager costs as much as all of its work."""

    __slots__ = ("_all", "_began", "_call", "_calls", "_context", "_log", "_name")

    def __init__(
        self, context: Context, calls: MethodCalls, name: str, log: CallLog | None, log_all: bool
    ) -> None:
        self._context = context
        self._calls = calls
        self._name = name
        self._log = log
        self._all = log_all

    def __enter__(self) -> None:
        self._call = call.begin(self._context.invocation_metadata())
        self._calls.begin()
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._began
        code = "OK" if error is None else code_of(error, self._context)
        self._calls.end(code, seconds)
        if self._log is not None and (self._all or code != "OK"):
            # Neither the message nor what the call was about, which may be somebody.
            self._log.add(self._name, code, seconds, self._call)


def code_of(error: BaseException, context: Context) -> str:
    """The code that a call ends with by what its handler raised."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):  # the caller hung up or ran out of time
        return "CANCELLED"
    code = context.code()
    if isinstance(code, int):
        return next((each.name for each in grpc.StatusCode if each.value[0] == code), "UNKNOWN")
    return code.name if code else "UNKNOWN"
