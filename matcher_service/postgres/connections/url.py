"""A setting whose value may be in a file that is read again when it changes, such as the database's URL."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from facerec.serving.auth.files import FileVersions, file_versions
from matcher_service.postgres.connections.address import UrlInvalid, read_address

T = TypeVar("T")

log = structlog.get_logger(__name__)


class ReloadedSetting(Generic[T]):
    """A setting's value, as of the last `refresh`: the given text, or the content of its file, as read.

    An invalid file leaves the value as it was and is logged.
    """

    def __init__(self, name: str, read: Callable[[str], T], text: str, file: Path | None = None) -> None:
        """`name` is for the log. Raises what `read` raises for the given text."""
        self.value = read(text)
        self._name = name
        self._read = read
        self._file = file
        self._file_version: FileVersions | None = None

    def refresh(self) -> bool:
        """Read the file if it changed; returns whether the value changed."""
        if self._file is None:
            return False
        try:
            found = file_versions([self._file])
            if found == self._file_version:
                return False
            self._file_version = found
            value = self._read(self._file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, UrlInvalid) as error:
            why = str(error) if isinstance(error, UrlInvalid) else type(error).__name__
            log.warning(f"{self._name}_reload_failed", file=str(self._file), why=why)
            return False
        changed, self.value = value != self.value, value
        if changed:
            log.info(f"{self._name}_reloaded", file=str(self._file))
        return changed


class DatabaseUrl(ReloadedSetting[str]):
    """A URL, or a file with one, such as a mounted secret. Raises UrlInvalid if the first URL is invalid."""

    def __init__(self, url: str, file: Path | None = None) -> None:
        super().__init__("database_url", _checked, url, file)

    @property
    def text(self) -> str:
        """The URL as of the last `refresh`."""
        return self.value


def _checked(text: str) -> str:
    url = text.strip()
    read_address(url)
    return url
