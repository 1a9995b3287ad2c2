"""The valid keys and certificates: read at the start, and again when their file changes."""

import datetime
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from facerec.serving.auth.errors import KeyMissing, KeyUnknown, RateLimited
from facerec.serving.auth.files import WatchedFiles
from facerec.serving.auth.permissions import CertificateCredential, Credential, KeyCredential, read_keys
from facerec.serving.auth.rates import TokenBucket

SCHEME = "bearer "

log = structlog.get_logger(__name__)


class KeyStore:
    """Finds the permissions of callers, and counts their probes against their rates.

    Raises SettingsInvalid if the file is invalid. While it is invalid or missing later on, the keys read
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

    def find(self, authorization: str, certificate_names: Callable[[], Sequence[str]]) -> Credential:
        """The permissions of a caller: of its key, or without one of its certificate.

        `authorization` is the header's value, "" without one; `certificate_names` is called only without a
        key. Raises KeyMissing, KeyUnknown.
        """
        found: Credential | None
        if authorization:
            found = self._by_key(authorization)
            if found is None:
                raise KeyUnknown("the key is not in the keys file of this service")
        else:
            names = certificate_names()
            found = next((each for each in self._entries.certificates if each.subject in names), None)
            if found is None:
                raise KeyMissing(
                    "send a key, as `authorization: Bearer KEY`"
                    + ("; the certificate's name is not in the keys file of this service" if names else "")
                )
        _check_expiry(found)
        return found

    def _by_key(self, authorization: str) -> Credential | None:
        """The permissions of the key in an `authorization` header, None if no entry has its hash.

        The lookup need not take constant time. Its duration depends on the SHA-256 of the key that was sent,
        so it could reveal at most a part of a stored hash, which does not help to find the random key behind
        it.
        """
        if authorization[: len(SCHEME)].lower() != SCHEME:
            raise KeyUnknown("authorization has the form `Bearer KEY`")
        digest = hashlib.sha256(authorization[len(SCHEME) :].strip().encode()).digest()
        return self._by_digest.get(digest)

    def refresh(self, credential: Credential) -> Credential:
        """The permissions that the same key or certificate has now. Raises KeyUnknown."""
        found: Credential | None
        if isinstance(credential, KeyCredential):
            found = self._by_digest.get(credential.digest)
        else:
            found = next((each for each in self._entries.certificates if _is_same(each, credential)), None)
        if found is None:
            raise KeyUnknown(f"{credential.name} is no longer in the keys file of this service")
        _check_expiry(found)
        return found

    def take(self, credential: Credential, probes: float = 1.0, already_charged: float = 0.0) -> None:
        """Count `probes` more of a call that was charged for `already_charged`. Raises RateLimited."""
        retry_after_seconds = self.try_take(credential, probes, already_charged)
        if retry_after_seconds:
            raise RateLimited(
                f"{credential.name} may send {credential.probes_per_second:g} probes a second",
                retry_after_seconds=retry_after_seconds,
            )

    def try_take(self, credential: Credential, probes: float = 1.0, already_charged: float = 0.0) -> float:
        """Count the probes as `take` does and return 0, or count none and return `retry_after_seconds`."""
        per_second = credential.probes_per_second
        if per_second is None:
            return 0.0
        rate = (per_second, credential.burst or max(1, math.ceil(2 * per_second)))
        known = self._buckets.get(credential.name)
        if known is None or known[0] != rate:
            known = self._buckets[credential.name] = (rate, TokenBucket(*rate))
        return known[1].try_take(probes, already_charged)

    def prune_buckets(self) -> None:
        """Drop the buckets of removed entries. Called on the event loop, as all that changes buckets is."""
        kept = {each.name for each in (*self._entries.keys, *self._entries.certificates)}
        self._buckets = {name: known for name, known in self._buckets.items() if name in kept}


def _is_same(certificate: CertificateCredential, credential: Credential) -> bool:
    return isinstance(credential, CertificateCredential) and certificate.subject == credential.subject


def _check_expiry(credential: Credential) -> None:
    if credential.expires is not None and credential.has_expired(datetime.datetime.now(datetime.UTC)):
        raise KeyUnknown(f"{credential.name} has expired")
