"""The door in front of dear work: so many run, so many wait, one more is refused at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, Literal

from matcher_service import deadline, metrics
from matcher_service.errors import Overloaded

RETRY_SECONDS = 1.0  # a scan of a million faces takes about a third of one

Kind = Literal["index", "scan", "import", "export"]
"""What waits at a door, and the label of its metrics."""

_ASKED: Final[dict[Kind, str]] = {
    "index": "searches",
    "scan": "exact searches",
    "import": "imports",
    "export": "exports",
}


class Admission:
    """Lets `running` calls in, in the order they came, and keeps at most `waiting` more of them."""

    def __init__(self, running: int, waiting: int, *, wait_seconds: float, kind: Kind) -> None:
        self._turns = asyncio.Semaphore(running)
        self._room = running + waiting
        self._wait_seconds = wait_seconds
        self._asked = _ASKED[kind]
        self._refused = metrics.REFUSED.labels(kind)
        metrics.WAITING.labels(kind).set_function(lambda: max(0, waiting - self._room))

    def check_room(self) -> None:
        """Raises Overloaded where a turn would be refused at once."""
        if self._room == 0:
            raise self._refusal()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raises Overloaded: at once when full, or when none came in time."""
        self.check_room()
        self._room -= 1
        try:
            # Half of what is left: refused in time, the caller still hears why.
            wait_seconds = deadline.remaining_seconds(2 * self._wait_seconds) / 2
            try:
                async with asyncio.timeout(wait_seconds):
                    await self._turns.acquire()
            except TimeoutError:
                raise self._refusal() from None
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._room += 1

    def _refusal(self) -> Overloaded:
        """Count a refusal and say of what there is too much."""
        self._refused.inc()
        return Overloaded(
            f"more {self._asked} are asked for than can be run; try again in a moment",
            retry_after_seconds=RETRY_SECONDS,
        )
