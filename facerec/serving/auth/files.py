"""Files that are mounted and may change: Kubernetes swaps a link, editors rename."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from facerec.errors import FacerecError
from facerec.serving.server.errors import StartError

POLL_SECONDS = 1.0

Stamp = tuple[tuple[int, int, int], ...]
T = TypeVar("T")

log = structlog.get_logger(__name__)


def stamp(paths: Sequence[Path]) -> Stamp:
    """What changes whenever one of the files does: time, size and inode of what its path leads to.

    Raises OSError.
    """
    found = [path.stat() for path in paths]
    return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)


class WatchedFiles(Generic[T]):
    """What some files hold, read anew when they change; while they are invalid, what they held before.

    `read` says that they are invalid by ValueError, FacerecError or StartError: at first to the caller,
    later on to the log, each fault once, as the event `NAME_reload_failed`.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], T], *, name: str) -> None:
        self._paths = paths
        self._read = read
        self._name = name
        self._fault = ""
        self._stamp = self._read_stamps()
        self.value = read()

    def follow(self) -> bool:
        """Read the files anew if they changed; returns whether there is a new value."""
        found = self._read_stamps()
        if found is not None and found == self._stamp:
            return False
        self._stamp = found
        try:
            self.value = self._read()
        except (ValueError, FacerecError, StartError) as error:
            logged, self._fault = self._fault, str(error)
            if logged != self._fault:
                log.error(f"{self._name}_reload_failed", why=self._fault)
            return False
        self._fault = ""
        return True

    def _read_stamps(self) -> Stamp | None:
        """The files' stamp; None where one is not there, for which reading it raises."""
        try:
            return stamp(self._paths)
        except OSError:
            return None
