"""Cooperative cancellation of work on a thread.

A thread cannot be interrupted from outside, so work calls `check` between its stages. Outside of
`Cancellable.run`, `check` does nothing and `wait_for` only waits.
"""

import contextvars
import io
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


class Cancelled(Exception):
    """The work was cancelled. No caller sees this error, as none waits for the result."""


class Cancellable:
    """Work that another thread may cancel."""

    def __init__(self) -> None:
        self._ended: Future[None] = Future()

    def cancel(self) -> None:
        """End the work at its next `check`, and immediately what it waits for."""
        self._ended.cancel()

    def run(self, work: Callable[[], Result]) -> Result:
        """Run the work on this thread. Raises Cancelled, and what the work raises."""
        token = _current.set(self._ended)
        try:
            check()
            return work()
        finally:
            _current.reset(token)


_current: contextvars.ContextVar[Future[None] | None] = contextvars.ContextVar("cancellable", default=None)


def check() -> None:
    """Raise Cancelled where the current work was cancelled."""
    ended = _current.get()
    if ended is not None and ended.cancelled():
        raise Cancelled


def wait_for(future: Future[Result]) -> Result:
    """Wait for a future's result; cancelling the current work cancels the future unless it has begun.

    Raises what the future raises, and concurrent.futures.CancelledError.
    """
    ended = _current.get()
    if ended is not None:
        ended.add_done_callback(lambda _: future.cancel())
    return future.result()


class CancellableReader(io.BytesIO):
    """Encoded bytes, whose `read` raises Cancelled after the current work was cancelled.

    Pillow's decoders of PNG, GIF, BMP and some JPEGs read 64 KB at a time.
    """

    def read(self, size: int | None = -1) -> bytes:
        """Read at most `size` bytes. Raises Cancelled."""
        check()
        return super().read(size)
