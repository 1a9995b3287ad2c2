"""Finds in a service's log what it could not reload, such as a keys file with an error."""

import contextlib
import json
import os
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 1024 * 1024  # of a log, read at once; what is older is skipped
_MARK: Final = b'_reload_failed"'


class ReloadFailures:
    """The `NAME_reload_failed` events that a log in JSON at `path` gets from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = path.stat().st_size if path.exists() else 0

    def take(self) -> list[str]:
        """Why each reload since the last call failed, with the event's name; none if the log is missing."""
        return [reason for line in self._new_lines() if _MARK in line and (reason := _reason(line))]

    def _new_lines(self) -> list[bytes]:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            if size < self._read_bytes:  # it was rotated
                self._read_bytes = 0
            start = max(self._read_bytes, size - MAX_BYTES)
            log.seek(start)
            whole = log.read(size - start).rpartition(b"\n")[0]
            self._read_bytes = start + len(whole)
            return whole.splitlines()
        return []


def _reason(line: bytes) -> str:
    """What a line of the log says; empty for one that is no event of a failed reload."""
    try:
        event = json.loads(line)
        name, why = event["event"], event["why"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f"{why}; what was read before stays in use ({name})" if name.endswith("_reload_failed") else ""
