"""The command lines of `encoder_service` and `matcher_service`, up to their imports.

They are installed even if the packages that a service needs are not.
"""

import importlib
import os
import signal
import sys
from types import FrameType

_ENDED_BY_SIGNALS = ("serve", "maintain")
"""The commands that run until a signal: to be ended by one is no failure."""


def run(service: str) -> int:
    """Run the command line of a service, `encoder` or `matcher`, and return its exit code.

    Until the command itself handles SIGTERM and SIGINT, they end the process at once: imports and models take
    seconds. If a package is missing this prints which extra installs it, and returns 2.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            # Without a handler the first process of a container would ignore them.
            signal.signal(number, _exit)
    try:
        command_line = importlib.import_module(f"{service}_service.commands")
    except ModuleNotFoundError as error:
        print(
            f"error: {error.name} is not installed: install facerec with its extra `{service}`, "
            f"as in pip install '.[{service}]'",
            file=sys.stderr,
        )
        return 2
    return int(command_line.main())


def _exit(number: int, _: FrameType | None) -> None:
    """End at once, whatever other threads do in native code."""
    os._exit(0 if sys.argv[1:2] and sys.argv[1] in _ENDED_BY_SIGNALS else 128 + number)
