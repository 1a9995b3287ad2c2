"""Runs a service's main coroutine, and handles termination signals."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any

from facerec.printable import printable
from facerec.serving.server.errors import StartError

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop


def run(main: Coroutine[Any, Any, int | None]) -> int:
    """Run `main` on uvloop and return the process's exit code: 2, with one line, for a StartError."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            return runner.run(main) or 0
        except StartError as error:
            print(printable(f"error: {error}"), file=sys.stderr)
            return 2


def termination() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets, on the running loop.

    A second signal ends the process, with exit code 128 and its number.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def end() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
            # With its default effect, a signal would not reach the first process of a container.
            signal.signal(number, _exit)
        stop.set()

    for number in signals:
        loop.add_signal_handler(number, end)
    return stop


def _exit(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)
