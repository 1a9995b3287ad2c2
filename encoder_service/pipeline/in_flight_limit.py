"""How many images each caller may have under way, and each of those whom one caller calls for."""

from collections import Counter
from typing import Final

_SHARE: Final = 3
"""One has at most this many images under way for each that there is still room for.

So one caller gets three quarters of `max_images`, two get three sevenths each, and there is always room left;
likewise those whom a caller calls for get of what it may have.
"""


class FairInFlightLimit:
    """Counts the images under way, `max_images` at most."""

    def __init__(self, max_images: int) -> None:
        self._max_images = max_images
        self._of_callers: Counter[str] = Counter()
        self._of_others: Counter[tuple[str, str]] = Counter()  # whom callers call for

    @property
    def under_way(self) -> int:
        """All of them."""
        return self._of_callers.total()

    def count(self, caller: str, on_behalf_of: str = "") -> int:
        """How many are under way of a caller, or of whom it calls for."""
        return self._of_others[caller, on_behalf_of] if on_behalf_of else self._of_callers[caller]

    def has_room(self, caller: str, on_behalf_of: str) -> bool:
        """Whether one more may be taken."""
        of_caller = self._of_callers[caller]
        room = self._max_images - self.under_way
        if of_caller >= _SHARE * room:
            return False
        max_of_caller = (room + of_caller) * _SHARE / (_SHARE + 1)
        return not on_behalf_of or self.count(caller, on_behalf_of) < _SHARE * (max_of_caller - of_caller)

    def take(self, caller: str, on_behalf_of: str) -> None:
        """Count one more."""
        self._of_callers[caller] += 1
        if on_behalf_of:
            self._of_others[caller, on_behalf_of] += 1

    def give(self, caller: str, on_behalf_of: str) -> None:
        """One has ended."""
        self._of_callers -= Counter((caller,))  # which forgets those who have none
        if on_behalf_of:
            self._of_others -= Counter(((caller, on_behalf_of),))
