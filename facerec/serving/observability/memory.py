"""Whether the process is near its memory limit."""

import os
import time
from pathlib import Path

LOW_SHARE = 0.85  # of the limit
CACHE_SECONDS = 0.02
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_NO_LIMIT = 2**60  # cgroup v1 reports at least this if there is no limit


class Memory:
    """Compares the process's resident memory with its container's limit; never low without a limit."""

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit_bytes = limit_bytes or _limit()
        self._page_bytes = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
        self._measured_at = -CACHE_SECONDS
        self._is_low = False

    def is_low(self) -> bool:
        """Whether more than LOW_SHARE of the limit is in use, as of at most CACHE_SECONDS ago."""
        if self._limit_bytes is None:
            return False
        now = time.monotonic()
        if now - self._measured_at >= CACHE_SECONDS:
            self._measured_at = now
            self._is_low = self._resident_bytes() > LOW_SHARE * self._limit_bytes
        return self._is_low

    def _resident_bytes(self) -> int:
        try:
            return int(Path("/proc/self/statm").read_text().split()[1]) * self._page_bytes
        except (OSError, ValueError, IndexError):
            return 0


def _limit() -> int | None:
    for path in _LIMITS:
        try:
            limit = int(Path(path).read_text())
        except (OSError, ValueError):  # missing, or "max"
            continue
        return limit if limit < _NO_LIMIT else None
    return None
