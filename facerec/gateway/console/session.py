"""Sessions that are kept by the browser alone: an API key, sealed under a secret of the gateway's."""

import asyncio
import base64
import dataclasses
import datetime
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from facerec.serving.auth.files import POLL_SECONDS, WatchedFiles
from facerec.serving.server.errors import SettingsInvalid

MIN_SECRET_CHARACTERS: Final = 32
_TOKEN_CHARACTERS: Final = 32
_PURPOSE: Final = b"facerec console session 1"
log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Session:
    """A session.

    Attributes:
        api_key: The key that was signed in with.
        csrf_token: What a page has to send beside the cookie; only the session's own pages can read it.
        expires: When it ends.
    """

    api_key: str = dataclasses.field(repr=False)
    csrf_token: str = dataclasses.field(repr=False)
    expires: datetime.datetime


class Sealer:
    """Seals sessions and opens them, for `max_seconds` each.

    `secret_file` has a secret a line: the first seals, all open. It is read again when it changes. Without
    one the secret is random, and sessions end with the process. Raises SettingsInvalid for an unusable file.
    """

    def __init__(self, secret_file: Path | None, max_seconds: int) -> None:
        self.max_seconds = max_seconds
        self._file = (
            WatchedFiles([secret_file], lambda: _read(secret_file), name="session_secret")
            if secret_file
            else None
        )
        self._random = fernet(secrets.token_bytes(32))

    @property
    def _secrets(self) -> MultiFernet:
        return self._file.value if self._file else MultiFernet([self._random])

    async def watch(self) -> None:
        """Reload the secrets when they change, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if self._file and self._file.reload_if_changed():
                log.info("session_secret_reloaded")

    def seal(self, api_key: str) -> str:
        """A session with a key that begins now, as text for a cookie."""
        token = secrets.token_hex(_TOKEN_CHARACTERS // 2)
        return self._secrets.encrypt(f"{token}{api_key}".encode()).decode("ascii")

    def open(self, sealed: str) -> Session | None:
        """The session; None for one that has ended, or that none of the secrets has sealed."""
        try:
            text = self._secrets.decrypt(sealed, ttl=self.max_seconds).decode()
            began = self._secrets.extract_timestamp(sealed)
        except InvalidToken:
            return None
        return Session(
            api_key=text[_TOKEN_CHARACTERS:],
            csrf_token=text[:_TOKEN_CHARACTERS],
            expires=datetime.datetime.fromtimestamp(began + self.max_seconds, datetime.UTC),
        )


def fernet(secret: bytes) -> Fernet:
    """What seals under a secret: Fernet, AES in CBC mode with an HMAC, under a key derived from it."""
    return Fernet(base64.urlsafe_b64encode(hmac.digest(secret, _PURPOSE, hashlib.sha256)))


def _read(path: Path) -> MultiFernet:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SettingsInvalid(f"session_secret_file: cannot read {path}: {why}") from None
    found = [line for line in lines if line]
    if not found or min(map(len, found)) < MIN_SECRET_CHARACTERS:
        raise SettingsInvalid(
            f"session_secret_file: {path} needs secrets of at least {MIN_SECRET_CHARACTERS} characters, one "
            "a line, such as `openssl rand -hex 32` prints"
        )
    return MultiFernet([fernet(line.encode()) for line in found])
