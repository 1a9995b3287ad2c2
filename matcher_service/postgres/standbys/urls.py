"""The current URLs of the standbys: the given ones, or the content of their file."""

from pathlib import Path

import structlog

from facerec.serving.auth.files import FileVersions, file_versions
from matcher_service.postgres.connections.address import UrlInvalid, read_address

log = structlog.get_logger(__name__)


class ReadUrls:
    """URLs separated by blanks or line ends, or a file of them that is read again when it changes.

    An invalid file leaves the URLs as they were and is logged. Raises UrlInvalid if one given first is.
    """

    def __init__(self, text: str, file: Path | None = None) -> None:
        self.texts = _read(text)
        self._file = file
        self._file_version: FileVersions | None = None

    def refresh(self) -> bool:
        """Read the file if it changed; returns whether the URLs changed."""
        if self._file is None:
            return False
        try:
            found = file_versions([self._file])
            if found == self._file_version:
                return False
            self._file_version = found
            texts = _read(self._file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, UrlInvalid) as error:
            why = str(error) if isinstance(error, UrlInvalid) else type(error).__name__
            log.warning("read_database_urls_reload_failed", file=str(self._file), why=why)
            return False
        changed, self.texts = texts != self.texts, texts
        if changed:
            log.info("read_database_urls_reloaded", file=str(self._file), standbys=len(texts))
        return changed


def _read(text: str) -> list[str]:
    """Each URL once. Raises UrlInvalid."""
    urls = list(dict.fromkeys(text.split()))
    for number, url in enumerate(urls, start=1):
        try:
            read_address(url)
        except UrlInvalid as error:
            raise UrlInvalid(f"read_database_urls, number {number}: {error}") from None
    return urls
