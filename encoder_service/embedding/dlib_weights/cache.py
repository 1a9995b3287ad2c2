"""A cache on disk of converted networks, keyed by the hash of the weights, and of dlib's unpacked detector.

An entry is the SHA-256 of a file, 32 bytes, followed by the file. It is written to a temporary file and
renamed, so that a reader sees a complete entry or none, and processes may race.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from encoder_service.embedding.dlib_weights.files import Weights
from facerec import ownership

CONVERTER_VERSION: Final = 2
"""Incremented whenever the same weights would give another graph."""

_DIGEST_BYTES: Final = 32

log = structlog.get_logger(__name__)


def default_folder() -> Path:
    """The folder under the user's cache home: `$XDG_CACHE_HOME` or `~/.cache`."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore a relative path.
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".cache") / "facerec" / "models"


def entry_path(folder: Path, weights: Weights, variant: str = "") -> Path:
    """The path of a converted form of these weights."""
    return folder / f"{weights.sha256}-{CONVERTER_VERSION}{variant and '-'}{variant}.onnx"


def fetch(folder: Path, weights: Weights, convert: Callable[[bytes], bytes], *, variant: str = "") -> bytes:
    """Return the ONNX file of these weights, from the cache or converted and then cached.

    `variant` distinguishes the forms that weights can be converted to. Raises what `convert` raises.
    """
    return fetch_entry(entry_path(folder, weights, variant), lambda: convert(weights.data))


def fetch_entry(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the file of the entry at `path`, from the cache or made and then cached.

    A folder that can't be written, or in which other users could replace root's files, is not used: the file
    is made at each start, and a warning is logged. Raises what `make` raises.
    """
    folder = path.parent
    if reason := ownership.why_unsafe(folder):
        log.warning("model_cache_refused", folder=str(folder), error=reason)
        return make()
    cached = _read(path)
    if cached is not None:
        return cached
    made = make()
    try:
        _write(path, made)
    except OSError as error:
        log.warning("model_cache_write_failed", folder=str(folder), error=error.strerror)
    return made


def holds(folder: Path, weights: Weights, variant: str = "") -> bool:
    """Whether `fetch` would find these weights converted."""
    return not ownership.why_unsafe(folder) and _read(entry_path(folder, weights, variant)) is not None


def _read(path: Path) -> bytes | None:
    try:
        entry = path.read_bytes()
    except OSError:
        return None
    digest, model = entry[:_DIGEST_BYTES], entry[_DIGEST_BYTES:]
    return model if hashlib.sha256(model).digest() == digest else None


def _write(path: Path, model: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(hashlib.sha256(model).digest())
            file.write(model)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
