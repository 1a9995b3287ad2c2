"""A budget of bytes that the messages of all calls share, fairly among callers."""

import asyncio
from collections import OrderedDict, deque
from typing import NamedTuple

from facerec.errors import FacerecError, Reason

SMALL_BYTES = 64 * 1024
SMALL_RESERVE_BYTES = 64 * SMALL_BYTES
RETRY_SECONDS = 1.0
MAX_SHARE_RATIO = 3
MAX_WAITING = 256  # messages of one caller


class _Waiter(NamedTuple):
    size: int
    already_held: int
    granted: asyncio.Future[None]


class FairByteBudget:
    """A budget of `size` bytes, and of SMALL_RESERVE_BYTES more for messages up to SMALL_BYTES.

    A caller may always hold one message that fits into the free bytes. With more than one it may hold at most
    MAX_SHARE_RATIO times the bytes that remain free: a caller that is alone gets three quarters of the
    budget. It also leaves at least `max_message_bytes` to others, or half of the budget if that is less.
    """

    def __init__(self, size: int, max_message_bytes: int = 0) -> None:
        self._free = size
        self._max_held = size - min(max_message_bytes, size // 2)
        self._held: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[_Waiter]] = OrderedDict()

    def take(self, owner: str, size: int, already_held: int = 0) -> None:
        """Take `size` bytes for a caller's message that holds `already_held` bytes.

        Raises FacerecError OVERLOADED if that many are not free.
        """
        if not self._fits(owner, size, already_held):
            raise overloaded()
        self._take(owner, size)

    def _take(self, owner: str, size: int) -> None:
        self._free -= size
        self._held[owner] = self._held.get(owner, 0) + size

    async def wait(self, owner: str, size: int, already_held: int, seconds: float) -> None:
        """Take the bytes as `take` does, waiting up to `seconds` until they are free.

        Callers are served in rotation, the messages of one caller in order. Raises FacerecError OVERLOADED
        when the time is over, and immediately if MAX_WAITING messages of the caller wait already.
        """
        if self._fits(owner, size, already_held):
            self._take(owner, size)
            return
        if len(self._waiting.get(owner, ())) >= MAX_WAITING:
            raise overloaded()
        granted = asyncio.get_running_loop().create_future()
        waiter = _Waiter(size, already_held, granted)
        self._waiting.setdefault(owner, deque()).append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():
                self.release(owner, size)
            else:
                self._remove_waiter(owner, waiter)
            if isinstance(error, TimeoutError):
                raise overloaded() from None
            raise

    def release(self, owner: str, size: int) -> None:
        """Release bytes that a caller holds."""
        self._free += size
        left = self._held[owner] - size
        if left:
            self._held[owner] = left
        else:
            del self._held[owner]
        if self._waiting:
            self._grant_waiting()

    def _remove_waiter(self, owner: str, waiter: _Waiter) -> None:
        waiting = self._waiting.get(owner)
        if waiting is not None and waiter in waiting:
            waiting.remove(waiter)
            if not waiting:
                del self._waiting[owner]

    def _grant_waiting(self) -> None:
        """Grant the first message of each caller in rotation, until none of these fits."""
        while any(self._grant_first(owner) for owner in list(self._waiting)):
            pass

    def _grant_first(self, owner: str) -> bool:
        """Grant the first of a caller's messages if it fits; returns whether it did."""
        waiting = self._waiting[owner]
        while waiting and waiting[0].granted.done():
            waiting.popleft()
        fits = bool(waiting) and self._fits(owner, waiting[0].size, waiting[0].already_held)
        if fits:
            first = waiting.popleft()
            self._take(owner, first.size)
            first.granted.set_result(None)
            self._waiting.move_to_end(owner)
        if not waiting:
            del self._waiting[owner]
        return fits

    def _fits(self, owner: str, size: int, already_held: int) -> bool:
        reserve = SMALL_RESERVE_BYTES if size <= SMALL_BYTES else 0
        free = self._free - size + reserve
        held = self._held.get(owner, 0)
        return free >= 0 and (
            held == already_held or held + size <= min(MAX_SHARE_RATIO * free, self._max_held + reserve)
        )


class Reservation:
    """Bytes of a budget that one message holds, from before it is read until `release`.

    A reservation that is garbage-collected releases its bytes.
    """

    __slots__ = ("_budget", "owner", "size")

    def __init__(self, budget: FairByteBudget, owner: str) -> None:
        self._budget = budget
        self.owner = owner
        self.size = 0

    def take(self, size: int) -> None:
        """Change the reservation to `size` bytes in total. Raises FacerecError OVERLOADED."""
        if size > self.size:
            self._budget.take(self.owner, size - self.size, self.size)
        elif size < self.size:
            self._budget.release(self.owner, self.size - size)
        self.size = size

    async def wait(self, size: int, seconds: float) -> None:
        """As `take`, but wait up to `seconds` for the bytes. Raises FacerecError OVERLOADED after that."""
        if size <= self.size:
            self.take(size)
            return
        await self._budget.wait(self.owner, size - self.size, self.size, seconds)
        self.size = size

    def release(self) -> None:
        """Release all bytes; idempotent."""
        size, self.size = self.size, 0
        if size:
            self._budget.release(self.owner, size)

    __del__ = release


def overloaded(what: str = "too many bytes of messages in flight") -> FacerecError:
    """The error OVERLOADED; `what` says which limit was reached."""
    return FacerecError(
        f"{what}; retry later",
        reason=Reason.OVERLOADED,
        retry_after_seconds=RETRY_SECONDS,
    )
