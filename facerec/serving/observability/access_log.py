"""The access log: a line of each call, written some at a time.

A line by itself takes a tenth of a small call: the write lets go of the interpreter, and the thread that
polls for gRPC takes it. The lines of a fifth of a second in one write take next to nothing. A process that is
killed loses that fifth of a second of them, and no other line: those are written at once.

The standard library's QueueHandler and QueueListener write each line by itself, on a thread of their own.
That took 51 to 90 us of CPU a line where this takes 8 to 11, beside some 550 us that Verify takes.
"""

import asyncio
import time

from facerec.errors import Reason
from facerec.serving.middleware.call import Call
from facerec.serving.observability import logs

WRITE_SECONDS = 0.2
MAX_WAITING = 1000
REFUSED_SECONDS = 1.0
UNKNOWN_CALLERS = frozenset({Reason.KEY_MISSING, Reason.KEY_UNKNOWN})


class AccessLog:
    """Takes lines on the event loop.

    Of calls without a key that is known there is, by method, one line a second, with the address of the host
    that sent it as `peer`, and a count of the others: whoever sends them would fill the log.
    """

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str, str], int] = {}
        self._waiting: list[tuple[float, str, str, float, Call, str]] = []
        self._due: asyncio.TimerHandle | None = None

    def add(self, method: str, code: str, seconds: float, call: Call) -> None:
        """Write a line of a call that has ended, within WRITE_SECONDS.

        `method` is its name, `code` its status, `seconds` how long it took.
        """
        peer = ""
        if call.reason in UNKNOWN_CALLERS:
            if self._is_counted(method, code, call.reason):
                return
            peer = call.key  # now: the connection may be gone when the line is written
        self._waiting.append((time.time(), method, code, seconds, call, peer))
        if len(self._waiting) >= MAX_WAITING:
            self.flush()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(WRITE_SECONDS, self.flush)

    def close(self) -> None:
        """Write all that waits, the counts of refused calls too."""
        self.flush()
        self._write_refused()

    def _is_counted(self, method: str, code: str, reason: str) -> bool:
        """Whether this second has a line of such a call already."""
        if not self._refused:
            asyncio.get_running_loop().call_later(REFUSED_SECONDS, self._write_refused)
        kind = (method, code, reason)
        self._refused[kind] = self._refused.get(kind, -1) + 1
        return self._refused[kind] > 0

    def _write_refused(self) -> None:
        refused, self._refused = self._refused, {}
        logs.write(
            __name__,
            "calls_refused",
            (
                (time.time(), {"method": method, "code": code, "reason": reason, "calls": calls})
                for (method, code, reason), calls in refused.items()
                if calls
            ),
        )

    def flush(self) -> None:
        """Write what waits."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        waiting, self._waiting = self._waiting, []
        logs.write(
            __name__,
            "call",
            (
                (
                    ended,
                    {
                        "method": method,
                        "code": code,
                        **({"reason": call.reason} if call.reason else {}),
                        "seconds": round(seconds, 4),
                        "caller": call.caller.name,
                        **({"peer": peer} if peer else {}),
                        "request_id": call.request_id,
                    },
                )
                for ended, method, code, seconds, call, peer in waiting
            ),
        )
