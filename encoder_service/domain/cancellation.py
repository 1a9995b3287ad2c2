"""Work on a thread that ends early when nobody waits for it any more.

A thread cannot be interrupted from outside: between two stages it asks by `check`. Outside of such work, in
tests and benchmarks, neither function does anything more than its plain form.
"""

import contextvars
import io
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


class Cancelled(Exception):
    """Nobody waits for this work; nobody sees this error."""


class Cancellable:
    """A piece of work that may be cancelled from another thread."""

    def __init__(self) -> None:
        self._ended: Future[None] = Future()

    def cancel(self) -> None:
        """End it at its next `check`, and what it waits for at once."""
        self._ended.cancel()

    def run(self, work: Callable[[], Result]) -> Result:
        """Do it on this thread. Raises Cancelled, and what the work raises."""
        token = _present.set(self._ended)
        try:
            check()
            return work()
        finally:
            _present.reset(token)


_present: contextvars.ContextVar[Future[None] | None] = contextvars.ContextVar("cancellable", default=None)


def check() -> None:
    """Raise Cancelled where nobody waits for the present work."""
    ended = _present.get()
    if ended is not None and ended.cancelled():
        raise Cancelled


def wait_for(future: Future[Result]) -> Result:
    """The result of what runs elsewhere, which is cancelled with the present work if it has not begun.

    Raises what the future raises, and concurrent.futures.CancelledError.
    """
    ended = _present.get()
    if ended is not None:
        ended.add_done_callback(lambda _: future.cancel())
    return future.result()


class Source(io.BytesIO):
    """Encoded bytes; a decoder that reads on when nobody waits for the image any more is ended.

    Pillow's decoders of PNG, GIF, BMP and some JPEGs read 64 KB at a time.
    """

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes. Raises Cancelled."""
        check()
        return super().read(size)
