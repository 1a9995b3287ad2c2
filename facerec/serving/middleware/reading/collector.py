"""When what failed requests leave behind is collected."""

import asyncio
import gc
import time
from typing import Final

PAUSE_TIMES: Final = 20  # how much longer than a collection nothing is collected: a twentieth of the time


class Collector:
    """Collects garbage after requests of `every_bytes` in all have failed, on the event loop.

    An error and its frames may hold each other, and a request, until they are collected. Nothing else runs
    meanwhile, so whoever sends what fails may not have it done all the time.
    """

    def __init__(self, every_bytes: int) -> None:
        self._every_bytes = every_bytes
        self._failed_bytes = 0
        self._next = 0.0

    def fail(self, size: int) -> None:
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
