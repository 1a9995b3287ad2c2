"""The file of access keys: which API key each stands for.

[[keys]]
access_key_id = "door-1"     # what SDKs call aws_access_key_id
secret_access_key = "KEY"    # what they call aws_secret_access_key: the API key, as the services know it

Signatures are checked with the secret itself, so the file has API keys in plain text, where the services'
keys files have only their hashes.
"""

import functools
import stat
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import pydantic
import structlog

from facerec.serving.auth.files import POLL_SECONDS, WatchedFiles
from facerec.serving.server.errors import SettingsInvalid

log = structlog.get_logger(__name__)


class AccessKey(pydantic.BaseModel):
    """An entry of the file."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    access_key_id: Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9_-]{3,128}$")]
    secret_access_key: Annotated[str, pydantic.StringConstraints(pattern=r"^[!-~]{1,512}$")]


class AccessKeysFile(pydantic.BaseModel):
    """The access keys of a file."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keys: Annotated[tuple[AccessKey, ...], pydantic.Field(min_length=1)]

    @pydantic.model_validator(mode="after")
    def _check_unique(self) -> "AccessKeysFile":
        if len(self.secrets) != len(self.keys):
            raise ValueError("two entries have the same access_key_id")
        return self

    @functools.cached_property
    def secrets(self) -> Mapping[str, str]:
        """The secret of each access key."""
        return {each.access_key_id: each.secret_access_key for each in self.keys}


class AccessKeys:
    """The access keys, read again when their file changes. Raises SettingsInvalid if it is invalid.

    While it is invalid or missing later on, the keys read last stay valid, and the log says so.
    """

    def __init__(self, path: Path) -> None:
        self._file = WatchedFiles([path], lambda: read_access_keys(path), name="access_keys")
        self._checked_at = time.monotonic()

    def secret(self, access_key_id: str) -> str | None:
        """The secret of an access key; None if it is not known."""
        if time.monotonic() - self._checked_at >= POLL_SECONDS:
            self._checked_at = time.monotonic()
            if self._file.reload_if_changed():
                log.info("access_keys_reloaded", keys=len(self._file.value.keys))
        return self._file.value.secrets.get(access_key_id)


def read_access_keys(path: Path) -> AccessKeysFile:
    """Read a file of access keys. Raises SettingsInvalid, whose message quotes no key."""
    where = f"rekognition_keys_file {path}"
    try:
        if path.stat().st_mode & stat.S_IROTH:
            raise SettingsInvalid(f"{where}: everybody on this machine can read the keys: chmod o-r it")
        return AccessKeysFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text file"
        raise SettingsInvalid(f"{where}: {why}") from None
    except tomllib.TOMLDecodeError:  # its message may quote a secret
        raise SettingsInvalid(f"{where}: cannot be read as TOML") from None
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        location = ".".join(str(part) for part in first["loc"]) or "file"
        raise SettingsInvalid(f"{where}: {location}: {first['msg']}") from None
    except (ValueError, RecursionError):  # a number with too many digits, or nested too deeply
        raise SettingsInvalid(f"{where}: cannot be read as TOML") from None
