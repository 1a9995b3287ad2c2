"""Interruptions while a command's modules are imported: KeyboardInterrupt could be raised in any of them."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from facerec import interruption


@contextlib.contextmanager
def while_loading() -> Iterator[None]:
    """Have Ctrl-C end the process immediately, instead of raising KeyboardInterrupt."""
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not raises or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, interruption.exit_interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
