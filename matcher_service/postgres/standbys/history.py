"""Positions of the primary that a matcher remembers, and when it asked for each."""

import bisect
import math
import time
from typing import Final

from matcher_service.postgres.standbys.positions import Position

SPACING_SECONDS: Final = 0.25  # between positions that are kept; the newest one is kept besides
# Where the system has it, a clock that goes on while the machine sleeps.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class PositionHistory:
    """The positions of the last `max_age_seconds`, each with a time before the primary was asked for it.

    All that was acknowledged by that time is within the position. Only this process reads the clock, so no
    two clocks are compared.
    """

    def __init__(self, max_age_seconds: float) -> None:
        self._max_age_seconds = max_age_seconds
        self._times: list[float] = []
        self._positions: list[Position] = []

    def now(self) -> float:
        """The time in seconds, of a clock that is not set."""
        return time.clock_gettime(_CLOCK)

    def add(self, asked: float, position: Position) -> None:
        """Remember a position that was asked for at `asked`, by `now`, and none of another timeline."""
        if self._positions and not position.comparable(self._positions[-1]):
            self._times, self._positions = [], []
        if len(self._times) > 1 and self._times[-1] - self._times[-2] < SPACING_SECONDS:
            self._times.pop()
            self._positions.pop()
        self._times.append(asked)
        self._positions.append(position)
        expired = bisect.bisect_left(self._times, asked - self._max_age_seconds)
        del self._times[:expired], self._positions[:expired]

    def within(self, seconds: float) -> Position | None:
        """The oldest position that was asked for at most `seconds` ago: the least that a read which may be as
        stale needs. None if there is no such position.
        """
        first = bisect.bisect_left(self._times, self.now() - seconds)
        return self._positions[first] if first < len(self._positions) else None

    @property
    def newest(self) -> Position | None:
        """The last position, however old; None if there was none."""
        return self._positions[-1] if self._positions else None

    def staleness_seconds(self, lsn: int) -> float:
        """How old at most an answer is that has all up to `lsn`, in bytes; infinite if that is not known."""
        replayed = bisect.bisect_right(self._positions, lsn, key=lambda position: position.lsn)
        return self.now() - self._times[replayed - 1] if replayed else math.inf
