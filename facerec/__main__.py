"""The `facerec` command, and `python -m facerec`: Ctrl-C is answered from the start.

Loading the command takes a few tenths of a second. An exception that is raised in the middle of an import may
come out anywhere, or be lost; so until the command is loaded Ctrl-C ends the process in its handler.
"""

import os
import signal
import sys

from facerec import interruption


def main() -> int:
    """Run one command and return its exit code."""
    answers = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell's script may ignore it
    if answers:
        signal.signal(signal.SIGINT, interruption.leave)
    try:
        from facerec.cli import main as run  # noqa: PLC0415 - takes its time

        if answers:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run()
    except KeyboardInterrupt:
        interruption.say()
        code = interruption.INTERRUPTED
    if answers:
        signal.signal(signal.SIGINT, lambda *_: os._exit(code))  # all is said: only the ending is hurried
    return code


if __name__ == "__main__":
    sys.exit(main())
