"""The access log: one line for each call, written in batches.

Writing each line by itself costs a tenth of a small call: the write releases the interpreter lock, and gRPC's
polling thread takes it. The lines of WRITE_SECONDS in one write cost almost nothing. A process that is killed
loses the access log lines of that time; all other log lines are written immediately.

The standard library's QueueHandler and QueueListener write each line by itself, on a thread of their own: 51
to 90 us of CPU a line, and this 8 to 11, beside about 550 us for a Verify.
"""

import asyncio
import time

from facerec.errors import Reason
from facerec.serving.middleware.call import Call
from facerec.serving.observability import logs

WRITE_SECONDS = 0.2
MAX_PENDING = 1000
REFUSED_SECONDS = 1.0
UNKNOWN_CALLERS = frozenset({Reason.KEY_MISSING, Reason.KEY_UNKNOWN})


class AccessLog:
    """Collects the lines of calls and writes them in batches. Used on the event loop.

    Calls of unknown callers, who could otherwise fill the log, get one line a second for each method, with
    the host's address as `peer`; the others of that second are counted in a `calls_refused` line.
    """

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str, str], int] = {}
        self._pending: list[tuple[float, str, str, float, Call, str]] = []
        self._flush_timer: asyncio.TimerHandle | None = None

    def add(self, method: str, code: str, seconds: float, call: Call) -> None:
        """Log a call that has ended; the line is written within WRITE_SECONDS.

        `method` is the method's name, `code` the name of the status code, `seconds` the call's duration.
        """
        peer = ""
        if call.reason in UNKNOWN_CALLERS:
            if self._count_refused(method, code, call.reason):
                return
            peer = call.host  # read now: the connection may be closed when the line is written
        self._pending.append((time.time(), method, code, seconds, call, peer))
        if len(self._pending) >= MAX_PENDING:
            self.flush()
        elif self._flush_timer is None:
            self._flush_timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self.flush)

    def close(self) -> None:
        """Write all pending lines, and the counts of refused calls."""
        self.flush()
        self._write_refused()

    def _count_refused(self, method: str, code: str, reason: str) -> bool:
        """Count a refused call; returns whether this second has a line of such a call already."""
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
        """Write the pending lines."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        pending, self._pending = self._pending, []
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
                for ended, method, code, seconds, call, peer in pending
            ),
        )
