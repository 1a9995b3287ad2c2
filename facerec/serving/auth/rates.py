"""Token buckets: so many probes a second, and some at once."""

import time


class Bucket:
    """Holds up to `burst` probes and gains `per_second` of them. Of this process alone."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._level = float(burst)
        self._updated = time.monotonic()

    def take(self, cost: float = 1.0, held: float = 0.0) -> float:
        """Take `cost` for a call that has taken `held` before; returns 0, or the seconds until both pass.

        A call costlier than the burst passes when the bucket is full, and the level then falls below zero:
        later calls wait until what it took is regained. So no two such calls pass at once.
        """
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._updated) * self._per_second)
        self._updated = now
        needed = min(held + cost, self._burst)
        if self._level + held < needed:
            return (needed - self._level) / self._per_second
        self._level -= cost
        return 0.0
