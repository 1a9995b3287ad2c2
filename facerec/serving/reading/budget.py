"""The bytes that the messages of all calls may take together, shared by caller."""

import asyncio
from collections import deque

from facerec.errors import FacerecError, Reason

SMALL_BYTES = 64 * 1024
SMALL_RESERVE_BYTES = 64 * SMALL_BYTES
RETRY_SECONDS = 1.0
FREE_TIMES = 3


class ByteBudget:
    """So many bytes, and some more for messages up to SMALL_BYTES, whoever else floods.

    A caller may always hold one message where there is room, and beyond it FREE_TIMES what is left: one alone
    takes three quarters of all, and leaves the rest to others. It leaves a message of `max_message_bytes` to
    them too, or half of all where that is less. Used on the event loop alone.
    """

    def __init__(self, size: int, max_message_bytes: int = 0) -> None:
        self._free = size
        self._max_held = size - min(max_message_bytes, size // 2)
        self._held: dict[str, int] = {}
        self._waiting: deque[tuple[str, int, int, asyncio.Future[None]]] = deque()

    def take(self, owner: str, size: int, mine: int = 0) -> None:
        """Take bytes for a caller, for a message that holds `mine` of them already.

        Raises FacerecError OVERLOADED where they are not left.
        """
        if not self._has(owner, size, mine):
            raise overloaded()
        self._grant(owner, size)

    def _grant(self, owner: str, size: int) -> None:
        self._free -= size
        self._held[owner] = self._held.get(owner, 0) + size

    async def wait(self, owner: str, size: int, mine: int, seconds: float) -> None:
        """Take them when they are left. Raises FacerecError OVERLOADED after so many seconds."""
        if self._has(owner, size, mine):
            self._grant(owner, size)
            return
        ready = asyncio.get_running_loop().create_future()
        entry = (owner, size, mine, ready)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(seconds):
                await ready
        except BaseException as error:
            if ready.done() and not ready.cancelled():
                self.give(owner, size)
            elif entry in self._waiting:
                self._waiting.remove(entry)
            if isinstance(error, TimeoutError):
                raise overloaded() from None
            raise

    def give(self, owner: str, size: int) -> None:
        """Give bytes back."""
        self._free += size
        left = self._held[owner] - size
        if left:
            self._held[owner] = left
        else:
            del self._held[owner]
        if self._waiting:
            self._serve()

    def _serve(self) -> None:
        for _ in range(len(self._waiting)):
            owner, size, mine, ready = entry = self._waiting.popleft()
            if ready.done():
                continue
            if self._has(owner, size, mine):
                self._grant(owner, size)
                ready.set_result(None)
            else:
                self._waiting.append(entry)

    def _has(self, owner: str, size: int, mine: int) -> bool:
        reserve = SMALL_RESERVE_BYTES if size <= SMALL_BYTES else 0
        left = self._free - size + reserve
        held = self._held.get(owner, 0)
        return left >= 0 and (held == mine or held + size <= min(FREE_TIMES * left, self._max_held + reserve))


class Lease:
    """Bytes of a budget that one message holds, from before it is read until `end`.

    One that is forgotten ends when it is collected.
    """

    __slots__ = ("_budget", "owner", "size")

    def __init__(self, budget: ByteBudget, owner: str) -> None:
        self._budget = budget
        self.owner = owner
        self.size = 0

    def take(self, size: int) -> None:
        """Hold `size` bytes in all, less or more than before. Raises FacerecError OVERLOADED."""
        if size > self.size:
            self._budget.take(self.owner, size - self.size, self.size)
        elif size < self.size:
            self._budget.give(self.owner, self.size - size)
        self.size = size

    async def wait(self, size: int, seconds: float) -> None:
        """The same, waiting for them. Raises FacerecError OVERLOADED after so many seconds."""
        if size <= self.size:
            self.take(size)
            return
        await self._budget.wait(self.owner, size - self.size, self.size, seconds)
        self.size = size

    def end(self) -> None:
        """Give back what is held; more than once is once."""
        size, self.size = self.size, 0
        if size:
            self._budget.give(self.owner, size)

    __del__ = end


def overloaded() -> FacerecError:
    """The error of a message for which there is no room now."""
    return FacerecError(
        "more is being sent than there is room for; try again in a moment",
        reason=Reason.OVERLOADED,
        retry_after_seconds=RETRY_SECONDS,
    )
