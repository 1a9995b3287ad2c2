"""The current URLs of the standbys: the given ones, or the content of their file."""

from pathlib import Path

from matcher_service.postgres.connections.address import UrlInvalid, read_address
from matcher_service.postgres.connections.url import ReloadedSetting


class ReadUrls(ReloadedSetting[list[str]]):
    """URLs separated by blanks or line ends, or a file of them. Raises UrlInvalid if one given first is."""

    def __init__(self, text: str, file: Path | None = None) -> None:
        super().__init__("read_database_urls", _read, text, file)

    @property
    def texts(self) -> list[str]:
        """The URLs as of the last `refresh`."""
        return self.value


def _read(text: str) -> list[str]:
    """Each URL once. Raises UrlInvalid."""
    urls = list(dict.fromkeys(text.split()))
    for number, url in enumerate(urls, start=1):
        try:
            read_address(url)
        except UrlInvalid as error:
            raise UrlInvalid(f"read_database_urls, number {number}: {error}") from None
    return urls
