"""The `facerec` command, and `python -m facerec`, which handle Ctrl-C from the start.

Loading the command takes a few tenths of a second. An exception raised during an import may surface anywhere
or be lost, so until the command is loaded the handler of Ctrl-C ends the process itself.
"""

import os
import signal
import sys

from facerec import interruption


def main() -> int:
    """Run one command and return its exit code."""
    # Not where a shell script ignores it.
    handles_interrupt = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if handles_interrupt:
        signal.signal(signal.SIGINT, interruption.exit_interrupted)
    try:
        from facerec.cli import main as run  # noqa: PLC0415 - slow to import

        if handles_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run()
    except KeyboardInterrupt:
        interruption.report()
        code = interruption.INTERRUPTED
    if handles_interrupt:
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))  # all output is written: end at once
    return code


if __name__ == "__main__":
    sys.exit(main())
