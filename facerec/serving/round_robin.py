"""A queue that goes round among groups, so that no group waits behind all that another has queued."""

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class RoundRobinQueue(Generic[Item]):
    """Items of groups: one of each group in turn, and within a group in the order of arrival.

    Not thread-safe: code with several threads holds a lock around each method.
    """

    def __init__(self) -> None:
        self._groups: dict[Hashable, deque[Item]] = {}  # in the order of their turns; none is empty
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def put(self, group: Hashable, item: Item) -> None:
        """Queue an item behind those of its group."""
        self._groups.setdefault(group, deque()).append(item)
        self._length += 1

    def take(self) -> Item:
        """Remove and return the next item. Raises IndexError if there is none."""
        if not self._groups:
            raise IndexError("the queue is empty")
        group = next(iter(self._groups))
        items = self._groups.pop(group)
        item = items.popleft()
        self._length -= 1
        if items:
            self._groups[group] = items
        return item

    def ahead_of(self, group: Hashable) -> int:
        """How many items would be taken before another one of `group` that came now."""
        own = len(self._groups.get(group, ()))
        # Groups of an earlier turn are taken from in `rounds` rounds, those of a later turn in one less.
        ahead, rounds = own, own + 1
        for each, items in self._groups.items():
            if each == group:
                rounds = own
            else:
                ahead += min(len(items), rounds)
        return ahead
