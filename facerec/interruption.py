"""How Ctrl-C ends a command while modules are loaded and at its end, where an exception would be lost.

It imports almost nothing, because Ctrl-C is not handled before it is loaded.
"""

import os
import sys

INTERRUPTED = 130


def exit_interrupted(*_: object) -> None:
    """End the process as an interrupted command does."""
    report()
    os._exit(INTERRUPTED)


def report() -> None:
    """Write `interrupted` to stderr, and with --json an error object to stdout."""
    if "--json" in sys.argv:
        _write(1, b'{"error": {"reason": "INTERRUPTED", "message": "interrupted"}}\n')
    _write(2, b"interrupted\n")


def _write(descriptor: int, text: bytes) -> None:
    try:  # noqa: SIM105 - contextlib is slow to import
        os.write(descriptor, text)
    except OSError:  # the reader has closed the pipe
        pass
