"""Reloading files that change: Kubernetes replaces a symbolic link, editors rename a file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from facerec.errors import FacerecError
from facerec.serving.server.errors import StartError

POLL_SECONDS = 1.0

FileVersions = tuple[tuple[int, int, int], ...]
T = TypeVar("T")

log = structlog.get_logger(__name__)


def file_versions(paths: Sequence[Path]) -> FileVersions:
    """Modification time in ns, size in bytes and inode of each file, which differ after it has changed.

    Symbolic links are followed. Raises OSError.
    """
    found = [path.stat() for path in paths]
    return tuple((each.st_mtime_ns, each.st_size, each.st_ino) for each in found)


class WatchedFiles(Generic[T]):
    """A value read from files, and reloaded when they change; it stays as it was while they are invalid.

    `read` raises ValueError, FacerecError or StartError if the files are invalid. The constructor passes
    the error on; later it is logged as `NAME_reload_failed`, and again only when its text changes.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], T], *, name: str) -> None:
        self._paths = paths
        self._read = read
        self._name = name
        self._error = ""
        self._versions = self._current_versions()
        self.value = read()

    def reload_if_changed(self) -> bool:
        """Read the files again if they have changed; returns whether there is a new value."""
        found = self._current_versions()
        if found is not None and found == self._versions:
            return False
        self._versions = found
        try:
            self.value = self._read()
        except (ValueError, FacerecError, StartError) as error:
            logged, self._error = self._error, str(error)
            if logged != self._error:
                log.error(f"{self._name}_reload_failed", why=self._error)
            return False
        self._error = ""
        return True

    def _current_versions(self) -> FileVersions | None:
        """The files' versions; None if one is missing, so that reading it raises the error."""
        try:
            return file_versions(self._paths)
        except OSError:
            return None
