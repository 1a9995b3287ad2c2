"""Limits the images in flight, fairly among callers and among those whom a caller calls for."""

from collections import Counter
from typing import Final

_SHARE: Final = 3
"""A caller may have at most this many images in flight for each image that may still be added.

So one caller gets three quarters of `max_images`, two get three sevenths each, and some capacity always
remains. Those whom a caller calls for share its part by the same rule.
"""


class FairInFlightLimit:
    """Counts the images in flight, at most `max_images`. A caller without capacity is refused; none waits."""

    def __init__(self, max_images: int) -> None:
        self._max_images = max_images
        self._of_callers: Counter[str] = Counter()
        self._on_behalf_of: Counter[tuple[str, str]] = Counter()  # whom callers call for

    @property
    def total(self) -> int:
        """The number of images in flight."""
        return self._of_callers.total()

    def count(self, caller: str, on_behalf_of: str = "") -> int:
        """The number of images in flight of a caller, or of one of those whom it calls for."""
        return self._on_behalf_of[caller, on_behalf_of] if on_behalf_of else self._of_callers[caller]

    def has_capacity(self, caller: str, on_behalf_of: str) -> bool:
        """Whether one more image may be taken."""
        of_caller = self._of_callers[caller]
        free = self._max_images - self.total
        if of_caller >= _SHARE * free:
            return False
        max_of_caller = (free + of_caller) * _SHARE / (_SHARE + 1)
        return not on_behalf_of or self.count(caller, on_behalf_of) < _SHARE * (max_of_caller - of_caller)

    def take(self, caller: str, on_behalf_of: str) -> None:
        """Count an image that begins; `has_capacity` must be true."""
        self._of_callers[caller] += 1
        if on_behalf_of:
            self._on_behalf_of[caller, on_behalf_of] += 1

    def release(self, caller: str, on_behalf_of: str) -> None:
        """Count an image that has ended."""
        self._of_callers -= Counter((caller,))  # drops callers without any
        if on_behalf_of:
            self._on_behalf_of -= Counter(((caller, on_behalf_of),))
