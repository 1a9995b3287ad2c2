"""Token buckets: so many calls a second, and some at once."""

import time


class Bucket:
    """Holds up to `burst` calls and gains `per_second` of them. Of this process alone."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._level = float(burst)
        self._seen = time.monotonic()

    def take(self) -> float:
        """Take one; returns 0, or the seconds until there is one again."""
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._seen) * self._per_second)
        self._seen = now
        if self._level < 1:
            return (1 - self._level) / self._per_second
        self._level -= 1
        return 0.0
