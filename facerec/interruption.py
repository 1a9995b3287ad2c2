"""How Ctrl-C ends a command where an exception would not do: while modules are loaded, and at its end.

It imports next to nothing, as Ctrl-C is not answered before this is loaded.
"""

import os
import sys

INTERRUPTED = 130


def leave(*_: object) -> None:
    """End the process as an interrupted command does."""
    say()
    os._exit(INTERRUPTED)


def say() -> None:
    """A line on stderr, and with --json an object on stdout."""
    if "--json" in sys.argv:
        _write(1, b'{"error": {"reason": "INTERRUPTED", "message": "interrupted"}}\n')
    _write(2, b"interrupted\n")


def _write(descriptor: int, text: bytes) -> None:
    try:  # noqa: SIM105 - contextlib takes its time
        os.write(descriptor, text)
    except OSError:  # nobody reads it
        pass
