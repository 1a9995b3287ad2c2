"""A set of bounded size that evicts the oldest member of the owner with the most members."""

from collections import OrderedDict
from collections.abc import Callable


class FairEvictingSet:
    """A set of at most `size` members; one more evicts the oldest of the owner with the most members."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._members: dict[str, OrderedDict[object, Callable[[], None]]] = {}
        self._count = 0

    def add(self, owner: str, member: object, evict: Callable[[], None]) -> None:
        """Add a member of an owner; `evict` is called, at most once, when the member is evicted."""
        if self._count >= self._size:
            largest = max(self._members, key=lambda each: len(self._members[each]))
            oldest, evict_oldest = next(iter(self._members[largest].items()))
            self.remove(largest, oldest)
            evict_oldest()
        self._members.setdefault(owner, OrderedDict())[member] = evict
        self._count += 1

    def remove(self, owner: str, member: object) -> None:
        """Remove a member if it is in the set; its `evict` is not called."""
        members = self._members.get(owner)
        if members is not None and members.pop(member, None) is not None:
            self._count -= 1
            if not members:
                del self._members[owner]
