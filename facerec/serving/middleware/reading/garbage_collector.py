"""Garbage collection after requests that failed."""

import asyncio
import gc
import time
from typing import Final

PAUSE_TIMES: Final = 20  # the pause after a collection, in multiples of its duration: at most 5 % of the time


class GarbageCollector:
    """Collects garbage on the event loop each time that failed requests add up to `every_bytes`.

    An exception and its frames may form a reference cycle that keeps the request in memory until it is
    collected. A collection blocks the event loop, so its frequency is limited whatever callers send.
    """

    def __init__(self, every_bytes: int) -> None:
        self._every_bytes = every_bytes
        self._failed_bytes = 0
        self._next = 0.0

    def count_failed(self, size: int) -> None:
        """Count a request of `size` bytes that failed."""
        self._failed_bytes += size
        if self._failed_bytes > self._every_bytes and time.monotonic() >= self._next:
            self._failed_bytes = 0
            self._next = float("inf")
            asyncio.get_running_loop().call_soon(self._collect)

    def _collect(self) -> None:
        began = time.monotonic()
        gc.collect()
        ended = time.monotonic()
        self._next = ended + PAUSE_TIMES * (ended - began)
