"""The bytes that the messages of all calls may take together, shared by caller."""

import asyncio
from collections import OrderedDict, deque
from typing import NamedTuple

from facerec.errors import FacerecError, Reason

SMALL_BYTES = 64 * 1024
SMALL_RESERVE_BYTES = 64 * SMALL_BYTES
RETRY_SECONDS = 1.0
MAX_SHARE_RATIO = 3
MAX_WAITING = 256  # messages of one caller


class _Waiting(NamedTuple):
    size: int
    mine: int
    ready: asyncio.Future[None]


class ByteBudget:
    """`size` bytes, and SMALL_RESERVE_BYTES more for messages up to SMALL_BYTES, however many other callers
    send.

    A caller may always hold one message where there is room, and beyond it MAX_SHARE_RATIO what is left: one
    alone takes three quarters of all, and leaves the rest to others. It leaves a message of
    `max_message_bytes` to them too, or half of all where that is less. Used on the event loop alone.
    """

    def __init__(self, size: int, max_message_bytes: int = 0) -> None:
        self._free = size
        self._max_held = size - min(max_message_bytes, size // 2)
        self._held: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[_Waiting]] = OrderedDict()

    def take(self, owner: str, size: int, mine: int = 0) -> None:
        """Take bytes for a caller, for a message that holds `mine` of them already.

        Raises FacerecError OVERLOADED where they are not left.
        """
        if not self._has(owner, size, mine):
            raise overloaded()
        self._take(owner, size)

    def _take(self, owner: str, size: int) -> None:
        self._free -= size
        self._held[owner] = self._held.get(owner, 0) + size

    async def wait(self, owner: str, size: int, mine: int, seconds: float) -> None:
        """Take them when they are left, in the order of a caller's messages; callers take turns.

        Raises FacerecError OVERLOADED after so many seconds, and where MAX_WAITING of the caller's wait.
        """
        if self._has(owner, size, mine):
            self._take(owner, size)
            return
        if len(self._waiting.get(owner, ())) >= MAX_WAITING:
            raise overloaded()
        ready = asyncio.get_running_loop().create_future()
        entry = _Waiting(size, mine, ready)
        self._waiting.setdefault(owner, deque()).append(entry)
        try:
            async with asyncio.timeout(seconds):
                await ready
        except BaseException as error:
            if ready.done() and not ready.cancelled():
                self.give(owner, size)
            else:
                self._forget(owner, entry)
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

    def _forget(self, owner: str, entry: _Waiting) -> None:
        waiting = self._waiting.get(owner)
        if waiting is not None and entry in waiting:
            waiting.remove(entry)
            if not waiting:
                del self._waiting[owner]

    def _serve(self) -> None:
        """The first message of whichever caller is next, again and again while there is room for any."""
        while any(self._serve_next(owner) for owner in list(self._waiting)):
            pass

    def _serve_next(self, owner: str) -> bool:
        """Whether there was room for the first of a caller's messages."""
        waiting = self._waiting[owner]
        while waiting and waiting[0].ready.done():
            waiting.popleft()
        served = bool(waiting) and self._has(owner, waiting[0].size, waiting[0].mine)
        if served:
            first = waiting.popleft()
            self._take(owner, first.size)
            first.ready.set_result(None)
            self._waiting.move_to_end(owner)
        if not waiting:
            del self._waiting[owner]
        return served

    def _has(self, owner: str, size: int, mine: int) -> bool:
        reserve = SMALL_RESERVE_BYTES if size <= SMALL_BYTES else 0
        left = self._free - size + reserve
        held = self._held.get(owner, 0)
        return left >= 0 and (
            held == mine or held + size <= min(MAX_SHARE_RATIO * left, self._max_held + reserve)
        )


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
        """Give back what is held; idempotent."""
        size, self.size = self.size, 0
        if size:
            self._budget.give(self.owner, size)

    __del__ = end


def overloaded(what: str = "too many bytes of messages in flight") -> FacerecError:
    """The error of a message that is not taken now; `what` there is too much of, for operators to know the
    setting.
    """
    return FacerecError(
        f"{what}; retry later",
        reason=Reason.OVERLOADED,
        retry_after_seconds=RETRY_SECONDS,
    )
