"""Running a service's main coroutine."""

import asyncio
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
