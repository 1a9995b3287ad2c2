"""Whether calls of moments are under way, so that long work can step aside for them."""

import asyncio
import contextlib
import time
from collections.abc import Iterator


class ShortRequests:
    """Counts the calls of moments (Verify and all that reads or changes a few rows) of one event loop."""

    def __init__(self) -> None:
        self._passing = 0
        self._last = -float("inf")
        self._lull = asyncio.Event()
        self._lull.set()

    @contextlib.contextmanager
    def passing(self) -> Iterator[None]:
        """Count a call from here to the end of the block."""
        self._passing += 1
        self._lull.clear()
        try:
            yield
        finally:
            self._last = time.monotonic()
            self._passing -= 1
            if not self._passing:
                self._lull.set()

    def seen_within(self, seconds: float) -> bool:
        """Whether one is under way, or was within the last `seconds`."""
        return self._passing > 0 or time.monotonic() - self._last < seconds

    async def lull(self, most_seconds: float) -> None:
        """Wait until none is under way, `most_seconds` at most: long work must get on, too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_seconds):
                await self._lull.wait()
