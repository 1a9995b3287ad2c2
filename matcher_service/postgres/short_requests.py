"""Short requests in flight, so that long scans can yield to them."""

import asyncio
import contextlib
import time
from collections.abc import Iterator


class ShortRequests:
    """Tracks the short requests (Verify and all that reads or changes a few rows) of one event loop."""

    def __init__(self) -> None:
        self._in_flight = 0
        self._last = -float("inf")
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.contextmanager
    def tracked(self) -> Iterator[None]:
        """Count a request from here to the end of the block."""
        self._in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._last = time.monotonic()
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    def seen_within(self, seconds: float) -> bool:
        """Whether a short request is in flight, or was within the last `seconds`."""
        return self._in_flight > 0 or time.monotonic() - self._last < seconds

    async def wait_until_idle(self, max_seconds: float) -> None:
        """Wait until no short request is in flight, at most `max_seconds`: long work must progress too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max_seconds):
                await self._idle.wait()
