"""A semaphore whose permits callers share, each waiting in a queue of bounded length."""

import asyncio
from collections import OrderedDict, deque

from facerec.serving.fairness.byte_budget import overloaded


class FairQueueSemaphore:
    """A semaphore of `size` permits, of which one caller holds at most `per_owner`.

    Callers that wait are served in rotation. At most `max_waiting` calls of one caller wait; one more is
    refused. With `newest_first` the newest call of a caller is served next, and its oldest is refused when
    one more comes: for health checks, which clients give up soon and which others at the same address make
    too.
    """

    def __init__(self, size: int, per_owner: int, max_waiting: int, *, newest_first: bool = False) -> None:
        self._max_waiting = max_waiting
        self._newest_first = newest_first
        self._free = size
        self._per_owner = per_owner
        self._held: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def acquire(self, owner: str) -> None:
        """Wait for a permit. Raises FacerecError OVERLOADED if `max_waiting` calls of the caller wait."""
        held = self._held.get(owner, 0)
        if self._free and held < self._per_owner and owner not in self._waiting:
            self._free -= 1
            self._held[owner] = held + 1
            return
        waiting = self._waiting.get(owner)
        if waiting is not None and len(waiting) >= self._max_waiting:
            if not self._newest_first:
                raise overloaded("too many messages of this caller wait to be read")
            _refuse(waiting.popleft())
        granted = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if not granted.done() or granted.cancelled():
                self._remove_waiter(owner, granted)
            elif granted.exception() is None:
                self.release(owner)
            raise

    def release(self, owner: str) -> None:
        """Release a permit of this caller."""
        self._free += 1
        held = self._held[owner] - 1
        if held:
            self._held[owner] = held
        else:
            del self._held[owner]
        if self._waiting:
            self._grant_waiting()

    def has_waiting(self) -> bool:
        """Whether a call waits for a permit."""
        return bool(self._waiting)

    def _grant_waiting(self) -> None:
        for owner in list(self._waiting):
            if not self._free:
                return
            held = self._held.get(owner, 0)
            if held >= self._per_owner:
                continue
            granted = self._next(owner)
            if granted is not None:
                self._free -= 1
                self._held[owner] = held + 1
                granted.set_result(None)

    def _next(self, owner: str) -> "asyncio.Future[None] | None":
        """Take the caller's next waiting call, and move the caller behind all others.

        None if all its calls are cancelled and have not been resumed since.
        """
        waiting = self._waiting[owner]
        while waiting:
            granted = waiting.pop() if self._newest_first else waiting.popleft()
            if not granted.done():
                break
        else:
            granted = None
        if waiting:
            self._waiting.move_to_end(owner)
        else:
            del self._waiting[owner]
        return granted

    def _remove_waiter(self, owner: str, granted: "asyncio.Future[None]") -> None:
        waiting = self._waiting.get(owner)
        if waiting is not None and granted in waiting:
            waiting.remove(granted)
            if not waiting:
                del self._waiting[owner]


def _refuse(granted: "asyncio.Future[None]") -> None:
    if not granted.done():
        granted.set_exception(overloaded("too many messages of this caller wait to be read"))
