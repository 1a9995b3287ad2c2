"""A thread that ends the process when some work never ends: a native call cannot be interrupted."""

import asyncio
import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Final, NoReturn, TypeVar

import structlog

FAILED_STATUS: Final = 70  # EX_SOFTWARE of sysexits.h
_TICK_SECONDS: Final = 0.5
_PAUSE_SECONDS: Final = 2.0

Argument = TypeVar("Argument")
Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class Watchdog:
    """Watches threads at work and the event loop; whoever supervises the process starts it anew.

    A thread or a loop that is held for `stuck_seconds` would otherwise hold its share of the service for
    good, or all of it, while probes of the port go on succeeding. 0 watches nothing.
    """

    def __init__(self, stuck_seconds: float) -> None:
        self._stuck_seconds = stuck_seconds
        self._began: dict[int, tuple[str, float]] = {}
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        if self._stuck_seconds:
            self._thread.start()

    @contextlib.contextmanager
    def watching(self, work: str) -> Iterator[None]:
        """Watch what this thread does within, under a name for the log."""
        thread = threading.get_ident()
        self._began[thread] = work, time.monotonic()
        try:
            yield
        finally:
            del self._began[thread]

    def watched(self, work: str, run: Callable[[Argument], Result]) -> Callable[[Argument], Result]:
        """The same function, watched under a name for the log."""

        def watch(argument: Argument) -> Result:
            with self.watching(work):
                return run(argument)

        return watch

    async def watch_loop(self) -> None:
        """Show until cancelled that the running loop turns."""
        thread = threading.get_ident()
        try:
            while True:
                self._began[thread] = "event_loop", time.monotonic()
                await asyncio.sleep(_TICK_SECONDS)
        finally:
            del self._began[thread]

    def _watch(self) -> None:
        before = time.monotonic()
        paused_seconds = 0.0
        while True:
            time.sleep(_TICK_SECONDS)
            now = time.monotonic()
            # A process that was stopped and goes on finds everything late, this thread too.
            if now - before > _PAUSE_SECONDS:
                paused_seconds, resumed = now - before, now
            before = now
            for thread, (work, began) in list(self._began.items()):
                late = paused_seconds if paused_seconds and began < resumed else 0.0
                if now - began - late > self._stuck_seconds:
                    _end_process(work, thread, now - began)


def _end_process(work: str, thread: int, seconds: float) -> NoReturn:
    frame = sys._current_frames().get(thread)
    # Where it hangs, and nothing of what it works on.
    frames = (
        [f"{at.filename}:{at.lineno} {at.name}" for at in traceback.extract_stack(frame)] if frame else []
    )
    log.critical(
        "stuck_work_detected",
        work=work,
        seconds=round(seconds, 1),
        frames=frames,
        action="ending the process, to be started again",
    )
    os._exit(FAILED_STATUS)
