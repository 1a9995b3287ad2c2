"""How many images each caller may have in flight, and each party that a caller acts on behalf of."""

from collections import Counter
from typing import Final

_SHARE: Final = 3
"""A caller has at most this many images in flight per permit that is still free.

So one caller gets three quarters of `max_images`, two get three sevenths each, and some permits are always
free. The parties that one caller acts on behalf of share its part by the same rule.
"""


class FairInFlightLimit:
    """Counts the images in flight, `max_images` at most."""

    def __init__(self, max_images: int) -> None:
        self._max_images = max_images
        self._by_caller: Counter[str] = Counter()
        self._by_party: Counter[tuple[str, str]] = Counter()  # (caller, on_behalf_of)

    @property
    def in_flight(self) -> int:
        """The images of all callers."""
        return self._by_caller.total()

    def count(self, caller: str, on_behalf_of: str = "") -> int:
        """The images of a caller, or of one party that it acts on behalf of."""
        return self._by_party[caller, on_behalf_of] if on_behalf_of else self._by_caller[caller]

    def has_room(self, caller: str, on_behalf_of: str) -> bool:
        """Whether one more image may be admitted."""
        of_caller = self._by_caller[caller]
        free = self._max_images - self.in_flight
        if of_caller >= _SHARE * free:
            return False
        max_of_caller = (free + of_caller) * _SHARE / (_SHARE + 1)
        return not on_behalf_of or self.count(caller, on_behalf_of) < _SHARE * (max_of_caller - of_caller)

    def acquire(self, caller: str, on_behalf_of: str) -> None:
        """Count an image that was admitted."""
        self._by_caller[caller] += 1
        if on_behalf_of:
            self._by_party[caller, on_behalf_of] += 1

    def release(self, caller: str, on_behalf_of: str) -> None:
        """Uncount an image that has ended."""
        self._by_caller -= Counter((caller,))  # drops callers at 0
        if on_behalf_of:
            self._by_party -= Counter(((caller, on_behalf_of),))
