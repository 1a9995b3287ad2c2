"""A source's file, checked to be regular, and unchanged while it is read."""

import hashlib
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from facerec.sources.errors import SourceRefused

BUFFER_BYTES: Final = 2**18


class SourceFile:
    """A file that is open for reading. Raises SourceRefused, OSError.

    `stream` reads it, `name` is its name without folders, `size` its size in bytes, `share` the share of it
    that was read, 0 to 1.
    """

    def __init__(self, path: Path) -> None:
        # Opening a pipe waits for a writer, and a device may have no end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceRefused("it is a device, a pipe or a socket: save its content to a file first")
        self.stream = path.open("rb", buffering=BUFFER_BYTES)
        self.name = path.name
        self._opened = os.fstat(self.stream.fileno())
        self.size = self._opened.st_size
        self.share = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stream.close()

    def check_unchanged(self) -> None:
        """Raise SourceRefused where the file was changed since it was opened."""
        now = os.fstat(self.stream.fileno())
        if (now.st_size, now.st_mtime_ns) != (self._opened.st_size, self._opened.st_mtime_ns):
            raise SourceRefused("it changed while it was read: import it again once nothing writes to it")

    def digest(self) -> str:
        """The SHA-256 of the file in hexadecimal. Raises SourceRefused where it changes meanwhile."""
        hashed = hashlib.sha256()
        left = self.size
        while left > 0 and (part := self.stream.read(min(left, BUFFER_BYTES))):
            hashed.update(part)
            left -= len(part)
        self.check_unchanged()
        return hashed.hexdigest()
