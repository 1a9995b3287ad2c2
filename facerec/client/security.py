"""How a client shows who it is, and knows whom it talks to."""

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import grpc
import grpc.aio

from facerec import certificates
from facerec.certificates import CertificatesInvalid
from facerec.client.channel import target
from facerec.environment import boolean
from facerec.errors import FacerecError, Reason
from facerec.loopback import is_loopback_target

_KEY = re.compile("[!-~]([ -~]*[!-~])?")  # what a header holds: ASCII, no space at either end


@dataclasses.dataclass(frozen=True)
class Security:
    """A key and certificates, PEM files all; without any of the latter a client speaks plain text.

    `ca_file` signed the server's certificate (`tls` alone trusts what this machine trusts). `cert_file` and
    `key_file` are the client's own, for servers that ask for one. `server_name` is the name to find in the
    server's certificate where it is not the address's. Each of these means TLS. `api_key` is sent with every
    call; in plain text it is sent to this machine only (a loopback address, `localhost`, a Unix socket),
    unless `plaintext_key` says that the network keeps others out.
    """

    api_key: str = dataclasses.field(default="", repr=False)
    tls: bool = False
    ca_file: str | Path | None = None
    cert_file: str | Path | None = None
    key_file: str | Path | None = None
    server_name: str = ""
    plaintext_key: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read FACEREC_API_KEY or FACEREC_API_KEY_FILE (its path), FACEREC_TLS (1 or 0), FACEREC_TLS_CA_FILE,
        FACEREC_TLS_CERT_FILE, FACEREC_TLS_KEY_FILE, FACEREC_TLS_SERVER_NAME, FACEREC_PLAINTEXT_KEY (1 or 0).

        Raises FacerecError OPTION_INVALID where the key's file can't be read, or a switch is neither on nor
        off.
        """

        def path(name: str) -> Path | None:
            return Path(environment[name]) if environment.get(name) else None

        key, key_path = environment.get("FACEREC_API_KEY", ""), path("FACEREC_API_KEY_FILE")
        return cls(
            api_key=key or (_read(key_path, "api_key").decode("latin-1").strip() if key_path else ""),
            tls=boolean("FACEREC_TLS", environment),
            ca_file=path("FACEREC_TLS_CA_FILE"),
            cert_file=path("FACEREC_TLS_CERT_FILE"),
            key_file=path("FACEREC_TLS_KEY_FILE"),
            server_name=environment.get("FACEREC_TLS_SERVER_NAME", ""),
            plaintext_key=boolean("FACEREC_PLAINTEXT_KEY", environment),
        )

    @property
    def is_tls(self) -> bool:
        """Whether the channel is encrypted."""
        return self.tls or bool(self.files) or bool(self.server_name)

    @property
    def files(self) -> list[Path]:
        """The files it is read from."""
        return [Path(path) for path in (self.ca_file, self.cert_file, self.key_file) if path]

    def credentials(self) -> grpc.ChannelCredentials:
        """What a channel is opened with, from the files as they are now.

        Raises FacerecError OPTION_INVALID, naming the field, where a file cannot be read, is no PEM, or where
        key and certificate don't fit together.
        """
        if bool(self.cert_file) != bool(self.key_file):
            raise FacerecError(
                "a client's certificate and its key come together: set both cert_file and key_file",
                reason=Reason.OPTION_INVALID,
                field="key_file" if self.cert_file else "cert_file",
            )
        try:
            authorities = certificates.read_authorities(Path(self.ca_file)) if self.ca_file else None
            cert = key = None
            if self.cert_file and self.key_file:
                cert, key = certificates.read_pair(Path(self.cert_file), Path(self.key_file))
        except CertificatesInvalid as error:
            raise FacerecError(
                f"{error.field}: {error}", reason=Reason.OPTION_INVALID, field=error.field
            ) from None
        return grpc.ssl_channel_credentials(authorities, key, cert)

    def options(self) -> list[tuple[str, str | int]]:
        """What it adds to a channel's options."""
        return (
            [("grpc.ssl_target_name_override", self.server_name)] if self.is_tls and self.server_name else []
        )

    def metadata(self, address: str) -> tuple[tuple[str, str], ...]:
        """What every call to an address carries.

        Raises FacerecError NOT_PERMITTED where the key would leave this machine in plain text, OPTION_INVALID
        where it has characters that no key has.
        """
        if not self.api_key:
            return ()
        if not _KEY.fullmatch(self.api_key):
            raise FacerecError(
                "the key has a line break, a space at an end or characters that no key has; give its text",
                reason=Reason.OPTION_INVALID,
                field="api_key",
            )
        if not (self.is_tls or self.plaintext_key or is_loopback_target(target(address))):
            raise FacerecError(
                f"the key is not sent to {address} in plain text: set a CA file, or plaintext_key where the "
                "network keeps others out",
                reason=Reason.NOT_PERMITTED,
            )
        return (("authorization", f"Bearer {self.api_key}"),)


PLAIN = Security()


def _read(path: str | Path, name: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FacerecError(f"{name} {path}: {error.strerror}", reason=Reason.OPTION_INVALID) from None
