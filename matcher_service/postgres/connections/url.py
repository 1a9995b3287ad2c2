"""The current database URL: the given one, or the content of its file."""

from pathlib import Path

import structlog

from facerec.serving.auth.files import FileVersions, file_versions
from matcher_service.postgres.connections.address import UrlInvalid, read_address

log = structlog.get_logger(__name__)


class DatabaseUrl:
    """A URL, or a file with one that is read again when it changes, such as a mounted secret.

    An invalid file leaves the URL as it was and is logged. Raises UrlInvalid if the first URL is invalid.
    """

    def __init__(self, url: str, file: Path | None = None) -> None:
        read_address(url)
        self._url = url
        self._file = file
        self._file_version: FileVersions | None = None

    @property
    def text(self) -> str:
        """The URL as of the last `refresh`."""
        return self._url

    def refresh(self) -> bool:
        """Read the file if it changed; returns whether the URL changed."""
        if self._file is None:
            return False
        try:
            found = file_versions([self._file])
            if found == self._file_version:
                return False
            self._file_version = found
            url = self._file.read_text(encoding="utf-8").strip()
            read_address(url)
        except (OSError, UnicodeDecodeError, UrlInvalid) as error:
            why = str(error) if isinstance(error, UrlInvalid) else type(error).__name__
            log.warning("database_url_reload_failed", file=str(self._file), why=why)
            return False
        changed, self._url = url != self._url, url
        if changed:
            log.info("database_url_reloaded", file=str(self._file))
        return changed
