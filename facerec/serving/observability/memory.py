"""How near the process is to the memory that it may have."""

import os
import time
from pathlib import Path

TIGHT_SHARE = 0.85
LOOK_SECONDS = 0.02
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_NO_LIMIT = 2**60  # what a cgroup of version 1 says where there is none


class Memory:
    """A container's limit, and what of it the process takes. Never tight where no limit is found."""

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit_bytes = limit_bytes or _limit()
        self._page_bytes = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
        self._looked = -LOOK_SECONDS
        self._tight = False

    def tight(self) -> bool:
        """Whether little is left."""
        if self._limit_bytes is None:
            return False
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._tight = self._resident_bytes() > TIGHT_SHARE * self._limit_bytes
        return self._tight

    def _resident_bytes(self) -> int:
        try:
            return int(Path("/proc/self/statm").read_text().split()[1]) * self._page_bytes
        except (OSError, ValueError, IndexError):
            return 0


def _limit() -> int | None:
    for path in _LIMITS:
        try:
            limit = int(Path(path).read_text())
        except (OSError, ValueError):  # not there, or "max"
            continue
        return limit if limit < _NO_LIMIT else None
    return None
