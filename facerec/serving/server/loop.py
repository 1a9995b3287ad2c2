"""Runs a service's main coroutine, and waits for a termination signal."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
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


async def wait_for_termination() -> None:
    """Return on the first SIGTERM or SIGINT. A second one has the signal's default effect."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
