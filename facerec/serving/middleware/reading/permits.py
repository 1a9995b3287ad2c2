"""A bounded number of permits, and a bounded set of members, both shared by caller."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from facerec.serving.middleware.reading.budget import overloaded


class Permits:
    """`size` permits, of which one caller holds no more than `per_owner`; callers who wait take turns.

    `max_waiting` are the calls of one caller that wait: one more is refused. With `newest_first` a caller's
    newest call is next, and the oldest is refused where one more comes: for short questions that a client
    gives up soon, beside those of somebody else at its address.
    """

    def __init__(self, size: int, per_owner: int, max_waiting: int, *, newest_first: bool = False) -> None:
        self._max_waiting = max_waiting
        self._newest_first = newest_first
        self._free = size
        self._per_owner = per_owner
        self._held: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def acquire(self, owner: str) -> None:
        """Take a permit when there is one for this caller. Raises FacerecError OVERLOADED where many wait."""
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
        ready = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(ready)
        try:
            await ready
        except asyncio.CancelledError:
            if not ready.done() or ready.cancelled():
                self._forget(owner, ready)
            elif ready.exception() is None:
                self.release(owner)
            raise

    def release(self, owner: str) -> None:
        """Give one back."""
        self._free += 1
        held = self._held[owner] - 1
        if held:
            self._held[owner] = held
        else:
            del self._held[owner]
        if self._waiting:
            self._pass_on()

    def has_waiting(self) -> bool:
        """Whether a call waits for a permit."""
        return bool(self._waiting)

    def _pass_on(self) -> None:
        for owner in list(self._waiting):
            if not self._free:
                return
            held = self._held.get(owner, 0)
            if held >= self._per_owner:
                continue
            ready = self._next(owner)
            if ready is not None:
                self._free -= 1
                self._held[owner] = held + 1
                ready.set_result(None)

    def _next(self, owner: str) -> "asyncio.Future[None] | None":
        """The call of a caller that is next, who is then behind all others; None where all were cancelled and
        only do not know it yet."""
        waiting = self._waiting[owner]
        while waiting:
            ready = waiting.pop() if self._newest_first else waiting.popleft()
            if not ready.done():
                break
        else:
            ready = None
        if waiting:
            self._waiting.move_to_end(owner)
        else:
            del self._waiting[owner]
        return ready

    def _forget(self, owner: str, ready: "asyncio.Future[None]") -> None:
        waiting = self._waiting.get(owner)
        if waiting is not None and ready in waiting:
            waiting.remove(ready)
            if not waiting:
                del self._waiting[owner]


def _refuse(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_exception(overloaded("too many messages of this caller wait to be read"))


class EvictingSet:
    """At most `size` members. Another one evicts the oldest of whichever owner has most."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._members: dict[str, OrderedDict[object, Callable[[], None]]] = {}
        self._count = 0

    def add(self, owner: str, member: object, evict: Callable[[], None]) -> None:
        """Add a member of an owner's; `evict` is called, once, where it has to go."""
        if self._count >= self._size:
            largest = max(self._members, key=lambda each: len(self._members[each]))
            oldest, evict_oldest = next(iter(self._members[largest].items()))
            self.remove(largest, oldest)
            evict_oldest()
        self._members.setdefault(owner, OrderedDict())[member] = evict
        self._count += 1

    def remove(self, owner: str, member: object) -> None:
        """Remove a member, if it is still in the set."""
        members = self._members.get(owner)
        if members is not None and members.pop(member, None) is not None:
            self._count -= 1
            if not members:
                del self._members[owner]
