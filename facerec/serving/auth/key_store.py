"""The grants in force: read at the start, and again when their file changes."""

import datetime
import hashlib
import hmac
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from facerec.serving.auth import permissions
from facerec.serving.auth.errors import KeyMissing, KeyUnknown, RateLimited
from facerec.serving.auth.files import FollowedFiles
from facerec.serving.auth.permissions import CertificatePermissions, KeyPermissions, Permissions
from facerec.serving.auth.rates import Bucket

SCHEME = "bearer "
NOBODY = bytes(32)

log = structlog.get_logger(__name__)


class KeyStore:
    """Finds out who calls. Raises SettingsInvalid where the file is at fault.

    A file that is at fault later on, or gone, changes nothing but the log: the grants read before stay.
    """

    def __init__(self, path: Path) -> None:
        self._file = FollowedFiles([path], lambda: permissions.read(path), name="keys")
        self._take_up()
        self._buckets: dict[str, tuple[tuple[float, int], Bucket]] = {}

    def follow(self) -> None:
        """Read the file anew if it changed."""
        if self._file.follow():
            self._take_up()
            log.info("keys_read", keys=len(self._grants.keys), certificates=len(self._grants.certificates))

    def _take_up(self) -> None:
        self._grants = self._file.value
        self._by_digest = {each.digest: each for each in self._grants.keys}

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
            found = next((each for each in self._grants.certificates if each.subject in names), None)
            if found is None:
                raise KeyMissing(
                    "send a key, as `authorization: Bearer KEY`"
                    + ("; the certificate's name is not known here" if names else "")
                )
        _check_time(found)
        return found

    def _by_key(self, authorization: str) -> Permissions | None:
        """Found by the hash, of which nobody can choose a part, and then compared in constant time."""
        if authorization[: len(SCHEME)].lower() != SCHEME:
            raise KeyUnknown("authorization has the form `Bearer KEY`")
        digest = hashlib.sha256(authorization[len(SCHEME) :].strip().encode()).digest()
        found = self._by_digest.get(digest)
        same = hmac.compare_digest(found.digest if found else NOBODY, digest)
        return found if same else None

    def again(self, grant: Permissions) -> Permissions:
        """What the key or certificate of a grant is entitled to now. Raises KeyUnknown."""
        found: Permissions | None
        if isinstance(grant, KeyPermissions):
            found = self._by_digest.get(grant.digest)
        else:
            found = next((each for each in self._grants.certificates if _is_same(each, grant)), None)
        if found is None:
            raise KeyUnknown(f"{grant.name} is not known here any more")
        _check_time(found)
        return found

    def take(self, grant: Permissions, probes: float = 1.0, held: float = 0.0) -> None:
        """Count probes of a call of which `held` are counted. Raises RateLimited."""
        seconds = self.wait_seconds(grant, probes, held)
        if seconds:
            raise RateLimited(
                f"{grant.name} may send {grant.probes_per_second:g} probes a second",
                retry_after_seconds=seconds,
            )

    def wait_seconds(self, grant: Permissions, probes: float = 1.0, held: float = 0.0) -> float:
        """Count probes likewise, or say how long they have to wait."""
        if grant.probes_per_second is None:
            return 0.0
        rate = (grant.probes_per_second, grant.burst or max(1, math.ceil(2 * grant.probes_per_second)))
        known = self._buckets.get(grant.name)
        if known is None or known[0] != rate:
            known = self._buckets[grant.name] = (rate, Bucket(*rate))
        return known[1].take(probes, held)

    def forget_others(self) -> None:
        """Drop the buckets of grants that are no more. On the event loop, as are all changes of buckets."""
        kept = {each.name for each in (*self._grants.keys, *self._grants.certificates)}
        self._buckets = {name: known for name, known in self._buckets.items() if name in kept}


def _is_same(certificate: CertificatePermissions, grant: Permissions) -> bool:
    return isinstance(grant, CertificatePermissions) and certificate.subject == grant.subject


def _check_time(grant: Permissions) -> None:
    if grant.expires is not None and grant.is_over(datetime.datetime.now(datetime.UTC)):
        raise KeyUnknown(f"the time of {grant.name} is over")
