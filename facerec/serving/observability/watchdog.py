"""A thread that ends the process when work hangs: a native call cannot be interrupted."""

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
    """Watches work on threads and the event loop; ends the process, for its supervisor to restart.

    A thread or loop that is blocked for `stuck_seconds` would otherwise reduce the service's capacity, or
    stop it, while TCP checks of the port still succeed. 0 disables the watchdog.
    """

    def __init__(self, stuck_seconds: float) -> None:
        self._stuck_seconds = stuck_seconds
        self._began: dict[int, tuple[str, float]] = {}
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start the watchdog's thread, unless it is disabled."""
        if self._stuck_seconds:
            self._thread.start()

    @contextlib.contextmanager
    def watching(self, work: str) -> Iterator[None]:
        """Watch the block, which this thread runs; `work` names it in the log."""
        thread = threading.get_ident()
        self._began[thread] = work, time.monotonic()
        try:
            yield
        finally:
            del self._began[thread]

    def watched(self, work: str, run: Callable[[Argument], Result]) -> Callable[[Argument], Result]:
        """Wrap a function so that it is watched; `work` names it in the log."""

        def watch(argument: Argument) -> Result:
            with self.watching(work):
                return run(argument)

        return watch

    async def watch_loop(self) -> None:
        """Report until cancelled that the running event loop is not blocked."""
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
            # A process that was suspended (SIGSTOP) and resumed finds all work late, this thread too.
            if now - before > _PAUSE_SECONDS:
                paused_seconds, resumed = now - before, now
            before = now
            for thread, (work, began) in list(self._began.items()):
                late = paused_seconds if paused_seconds and began < resumed else 0.0
                if now - began - late > self._stuck_seconds:
                    _end_process(work, thread, now - began)


def _end_process(work: str, thread: int, seconds: float) -> NoReturn:
    frame = sys._current_frames().get(thread)
    # The stack of the work that hangs, without its arguments.
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
