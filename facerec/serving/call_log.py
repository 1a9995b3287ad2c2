"""The lines of calls, written some at a time.

A line by itself takes a tenth of a small call: the write lets go of the interpreter, and the thread that
polls for gRPC takes it. The lines of a fifth of a second in one write take next to nothing. A process that is
killed loses that fifth of a second of them, and no other line: those are written at once.
"""

import asyncio
import time

from facerec.serving import logs
from facerec.serving.call import Call

WRITE_SECONDS = 0.2
MOST_WAITING = 1000


class CallLog:
    """Takes lines on the event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, str, str, float, Call]] = []
        self._due: asyncio.TimerHandle | None = None

    def add(self, method: str, code: str, seconds: float, call: Call) -> None:
        """Write a line soon."""
        self._waiting.append((time.time(), method, code, seconds, call))
        if len(self._waiting) >= MOST_WAITING:
            self.flush()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(WRITE_SECONDS, self.flush)

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
                        "request_id": call.request_id,
                    },
                )
                for ended, method, code, seconds, call in waiting
            ),
        )
