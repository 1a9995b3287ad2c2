"""The keys and certificates in force: read at the start, and again when their file changes."""

import datetime
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from facerec.serving.auth.errors import KeyMissing, KeyUnknown, RateLimited
from facerec.serving.auth.files import WatchedFiles
from facerec.serving.auth.permissions import CertificatePermissions, KeyPermissions, Permissions, read_keys
from facerec.serving.auth.rates import Bucket

SCHEME = "bearer "

log = structlog.get_logger(__name__)


class KeyStore:
    """Finds out who calls. Raises SettingsInvalid where the file is invalid.

    A file that is invalid later on, or gone, changes nothing but the log: the keys read before stay.
    """

    def __init__(self, path: Path) -> None:
        self._file = WatchedFiles([path], lambda: read_keys(path), name="key_store")
        self._index()
        self._buckets: dict[str, tuple[tuple[float, int], Bucket]] = {}

    def follow(self) -> None:
        """Read the file anew if it changed."""
        if self._file.follow():
            self._index()
            log.info(
                "key_store_reloaded",
                keys=len(self._entries.keys),
                certificates=len(self._entries.certificates),
            )

    def _index(self) -> None:
        self._entries = self._file.value
        self._by_digest = {each.digest: each for each in self._entries.keys}

    def find(self, authorization: str, peer: Callable[[], Sequence[str]]) -> Permissions:
        """Who calls: by the key if the call brings one, else by the names in the peer's certificate,
        which are asked for only then.

        Raises KeyMissing, KeyUnknown.
        """
        found: Permissions | None
        if authorization:
            found = self._by_key(authorization)
            if found is None:
                raise KeyUnknown("the key is not known here")
        else:
            names = peer()
            found = next((each for each in self._entries.certificates if each.subject in names), None)
            if found is None:
                raise KeyMissing(
                    "send a key, as `authorization: Bearer KEY`"
                    + ("; the certificate's name is not known here" if names else "")
                )
        _check_time(found)
        return found

    def _by_key(self, authorization: str) -> Permissions | None:
        """The permissions of the key in an `authorization` header, None where no entry has its hash.

        The lookup need not take constant time: its duration depends on the SHA-256 of what was sent, and
        nobody can vary a key so that its hash approaches a stored one.
        """
        if authorization[: len(SCHEME)].lower() != SCHEME:
            raise KeyUnknown("authorization has the form `Bearer KEY`")
        digest = hashlib.sha256(authorization[len(SCHEME) :].strip().encode()).digest()
        return self._by_digest.get(digest)

    def refresh(self, permissions: Permissions) -> Permissions:
        """The permissions that their key or certificate has now. Raises KeyUnknown."""
        found: Permissions | None
        if isinstance(permissions, KeyPermissions):
            found = self._by_digest.get(permissions.digest)
        else:
            found = next((each for each in self._entries.certificates if _is_same(each, permissions)), None)
        if found is None:
            raise KeyUnknown(f"{permissions.name} is not known here any more")
        _check_time(found)
        return found

    def take(self, permissions: Permissions, probes: float = 1.0, held: float = 0.0) -> None:
        """Count probes of a call of which `held` are counted. Raises RateLimited."""
        seconds = self.wait_seconds(permissions, probes, held)
        if seconds:
            raise RateLimited(
                f"{permissions.name} may send {permissions.probes_per_second:g} probes a second",
                retry_after_seconds=seconds,
            )

    def wait_seconds(self, permissions: Permissions, probes: float = 1.0, held: float = 0.0) -> float:
        """Count probes likewise, or say how long they have to wait."""
        per_second = permissions.probes_per_second
        if per_second is None:
            return 0.0
        rate = (per_second, permissions.burst or max(1, math.ceil(2 * per_second)))
        known = self._buckets.get(permissions.name)
        if known is None or known[0] != rate:
            known = self._buckets[permissions.name] = (rate, Bucket(*rate))
        return known[1].take(probes, held)

    def prune_buckets(self) -> None:
        """Drop the buckets of entries that are gone. On the event loop, as are all changes of buckets."""
        kept = {each.name for each in (*self._entries.keys, *self._entries.certificates)}
        self._buckets = {name: known for name, known in self._buckets.items() if name in kept}


def _is_same(certificate: CertificatePermissions, permissions: Permissions) -> bool:
    return isinstance(permissions, CertificatePermissions) and certificate.subject == permissions.subject


def _check_time(permissions: Permissions) -> None:
    if permissions.expires is not None and permissions.has_expired(datetime.datetime.now(datetime.UTC)):
        raise KeyUnknown(f"{permissions.name} has expired")
