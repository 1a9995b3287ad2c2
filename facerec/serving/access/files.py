"""Files that are mounted and may change: Kubernetes swaps a link, editors rename."""

from collections.abc import Sequence
from pathlib import Path

POLL_SECONDS = 1.0

Stamp = tuple[tuple[int, int, int], ...]


def stamp(paths: Sequence[Path]) -> Stamp:
    """What tells whether any of the files changed: time, size and inode of what its path leads to.

    Raises OSError.
    """
    found = [path.stat() for path in paths]
    return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)
