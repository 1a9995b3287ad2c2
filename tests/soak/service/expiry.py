"""A key and a certificate whose time ends while calls are made, until somebody renews them."""

import contextlib
import dataclasses
import datetime
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import trustme

from facerec.client import Security
from facerec.errors import Reason
from tests.soak.service.faults import Fault, Happen
from tests.soak.service.load import RETRYABLE
from tests.soak.service.stack import Stack

KEY = "fr_a-key-of-the-soak"
SOON = datetime.timedelta(seconds=1)
LATER = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Locks:
    """A CA, and the folder of the files that matchers are locked by."""

    ca: trustme.CA
    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Locks":
        """Issue everything with a validity of a day."""
        locks = cls(trustme.CA(), folder)
        locks.ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        locks.write_key(LATER)
        locks.write_certificate(LATER)
        return locks

    def write_key(self, lasts: datetime.timedelta) -> None:
        """Let the key expire after this time."""
        end = datetime.datetime.now(datetime.UTC) + lasts
        (self.folder / "keys.toml").write_text(
            f'[[keys]]\nname = "soak"\nsha256 = "{hashlib.sha256(KEY.encode()).hexdigest()}"\n'
            f'roles = ["admin"]\nexpires = {end:%Y-%m-%dT%H:%M:%SZ}\n'
        )

    def write_certificate(self, lasts: datetime.timedelta) -> None:
        """Let the matchers' certificate expire after this time."""
        end = datetime.datetime.now(datetime.UTC) + lasts
        made = self.ca.issue_cert("127.0.0.1", "localhost", not_after=end)
        made.private_key_pem.write_to_path(str(self.folder / "server.key"))
        made.cert_chain_pems[0].write_to_path(str(self.folder / "server.pem"))

    @property
    def flags(self) -> tuple[str, ...]:
        """A matcher's; connections are so short that a certificate is soon asked for again."""
        files = {"tls-cert-file": "server.pem", "tls-key-file": "server.key", "keys-file": "keys.toml"}
        named = (part for name, file in files.items() for part in (f"--{name}", str(self.folder / file)))
        return (*named, "--max-connection-age-seconds", "1")

    @property
    def security(self) -> Security:
        """A caller's."""
        return Security(api_key=KEY, ca_file=self.folder / "ca.pem", server_name="localhost")


def faults(locks: Locks) -> list[Fault]:
    """What expires."""
    return [
        Fault("key expired", _expiring(locks.write_key), expected_reasons=RETRYABLE | {Reason.KEY_UNKNOWN}),
        Fault("certificate expired", _expiring(locks.write_certificate)),
    ]


def _expiring(write: Callable[[datetime.timedelta], None]) -> Happen:
    @contextlib.contextmanager
    def happen(_: Stack) -> Iterator[Callable[[], bool]]:
        write(SOON)
        ended = datetime.datetime.now(datetime.UTC) + SOON
        try:
            yield lambda: datetime.datetime.now(datetime.UTC) > ended
        finally:
            write(LATER)

    return happen
