"""Token buckets that limit the probes a second of a caller."""

import time


class TokenBucket:
    """A token bucket of this process: holds up to `burst` tokens, a probe each, and gains `per_second`."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._level = float(burst)
        self._updated = time.monotonic()

    def try_take(self, cost: float = 1.0, already_charged: float = 0.0) -> float:
        """Take `cost` tokens for a call that has taken `already_charged` before.

        Returns 0, or without taking any the seconds until a retry can succeed. A call that costs more than
        the burst passes when the bucket is full; the level falls below zero, and later calls wait until it
        has risen again. So no two such calls pass together.
        """
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._updated) * self._per_second)
        self._updated = now
        needed = min(already_charged + cost, self._burst)
        if self._level + already_charged < needed:
            return (needed - self._level) / self._per_second
        self._level -= cost
        return 0.0
