"""The valid keys and certificates: read at the start, and again when their file changes."""

import datetime
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from facerec.serving.auth.errors import KeyMissing, KeyUnknown, RateLimited
from facerec.serving.auth.files import WatchedFiles
from facerec.serving.auth.permissions import CertificatePermissions, KeyPermissions, Permissions, read_keys
from facerec.serving.auth.rates import TokenBucket

SCHEME = "bearer "

log = structlog.get_logger(__name__)


class KeyStore:
    """Finds the permissions of callers, and counts their probes against their rates.

    Raises SettingsInvalid where the file is invalid. While it is invalid or missing later on, the keys read
    last stay valid, and the log says so.
    """

    def __init__(self, path: Path) -> None:
        self._file = WatchedFiles([path], lambda: read_keys(path), name="key_store")
        self._index()
        self._buckets: dict[str, tuple[tuple[float, int], TokenBucket]] = {}

    def reload_if_changed(self) -> None:
        """Read the file again if it has changed."""
        if self._file.reload_if_changed():
            self._index()
            log.info(
                "key_store_reloaded",
                keys=len(self._entries.keys),
                certificates=len(self._entries.certificates),
            )

    def _index(self) -> None:
        self._entries = self._file.value
        self._by_digest = {each.digest: each for each in self._entries.keys}

    def find(self, authorization: str, certificate_names: Callable[[], Sequence[str]]) -> Permissions:
        """The permissions of a caller: of its key, or without one of its certificate.

        `authorization` is the header's value, "" without one; `certificate_names` is called only without a
        key. Raises KeyMissing, KeyUnknown.
        """
        found: Permissions | None
        if authorization:
            found = self._by_key(authorization)
            if found is None:
                raise KeyUnknown("the key is not known here")
        else:
            names = certificate_names()
            found = next((each for each in self._entries.certificates if each.subject in names), None)
            if found is None:
                raise KeyMissing(
                    "send a key, as `authorization: Bearer KEY`"
                    + ("; the certificate's name is not known here" if names else "")
                )
        _check_expiry(found)
        return found

    def _by_key(self, authorization: str) -> Permissions | None:
        """The permissions of the key in an `authorization` header, None where no entry has its hash.

        The lookup need not take constant time. Its duration depends on the SHA-256 of the key that was sent,
        so it could reveal at most a part of a stored hash, which does not help to find the random key behind
        it.
        """
        if authorization[: len(SCHEME)].lower() != SCHEME:
            raise KeyUnknown("authorization has the form `Bearer KEY`")
        digest = hashlib.sha256(authorization[len(SCHEME) :].strip().encode()).digest()
        return self._by_digest.get(digest)

    def refresh(self, permissions: Permissions) -> Permissions:
        """The permissions that the same key or certificate has now. Raises KeyUnknown."""
        found: Permissions | None
        if isinstance(permissions, KeyPermissions):
            found = self._by_digest.get(permissions.digest)
        else:
            found = next((each for each in self._entries.certificates if _is_same(each, permissions)), None)
        if found is None:
            raise KeyUnknown(f"{permissions.name} is no longer known here")
        _check_expiry(found)
        return found

    def take(self, permissions: Permissions, probes: float = 1.0, counted: float = 0.0) -> None:
        """Count `probes` more of a call of which `counted` are counted. Raises RateLimited."""
        seconds = self.wait_seconds(permissions, probes, counted)
        if seconds:
            raise RateLimited(
                f"{permissions.name} may send {permissions.probes_per_second:g} probes a second",
                retry_after_seconds=seconds,
            )

    def wait_seconds(self, permissions: Permissions, probes: float = 1.0, counted: float = 0.0) -> float:
        """Count the probes as `take` does and return 0; or return how many seconds to wait before a retry."""
        per_second = permissions.probes_per_second
        if per_second is None:
            return 0.0
        rate = (per_second, permissions.burst or max(1, math.ceil(2 * per_second)))
        known = self._buckets.get(permissions.name)
        if known is None or known[0] != rate:
            known = self._buckets[permissions.name] = (rate, TokenBucket(*rate))
        return known[1].take(probes, counted)

    def prune_buckets(self) -> None:
        """Drop the buckets of removed entries. Called on the event loop, as all that changes buckets is."""
        kept = {each.name for each in (*self._entries.keys, *self._entries.certificates)}
        self._buckets = {name: known for name, known in self._buckets.items() if name in kept}


def _is_same(certificate: CertificatePermissions, permissions: Permissions) -> bool:
    return isinstance(permissions, CertificatePermissions) and certificate.subject == permissions.subject


def _check_expiry(permissions: Permissions) -> None:
    if permissions.expires is not None and permissions.has_expired(datetime.datetime.now(datetime.UTC)):
        raise KeyUnknown(f"{permissions.name} has expired")
