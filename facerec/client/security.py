"""A client's API key, and TLS to the service."""

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
    """The API key and the certificates of a client. The default is plain text without a key.

    Any of `tls`, `ca_file`, `cert_file`, `key_file` and `server_name` turns TLS on. Files are PEM and are
    read when a client is made.

    Attributes:
        api_key: The key that is sent with each call. In plain text it is sent only to this machine: a
            loopback address, `localhost` or a Unix socket. "" sends none.
        tls: Whether to use TLS where no other attribute turns it on. Default: False.
        ca_file: The CAs, one of which must have signed the server's certificate. None: this machine's.
        cert_file: The client's certificate, for servers that ask for one. None sends none.
        key_file: The private key of that certificate; both are set or neither.
        server_name: The name to expect in the server's certificate; "" is that of the address.
        plaintext_key: Whether the key may be sent in plain text to other machines, on a network that keeps
            others out. Default: False.

    Example:
        >>> security = Security(api_key=Path("key").read_text().strip(), ca_file="ca.pem")
        >>> with MatcherClient("matcher.example:50052", security=security) as locked:
        ...     locked.verify("ann", photo).match
        True
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
        """Read the environment variables that the commands use.

        The variables are FACEREC_API_KEY, or FACEREC_API_KEY_FILE with its path; FACEREC_TLS_CA_FILE,
        FACEREC_TLS_CERT_FILE, FACEREC_TLS_KEY_FILE and FACEREC_TLS_SERVER_NAME; and the switches FACEREC_TLS
        and FACEREC_PLAINTEXT_KEY, which are 1, true, yes or on, or 0, false, no or off, in any case.

        Args:
            environment: The variables. Default: the process's.

        Returns:
            A `Security`; attributes without a variable have their defaults.

        Raises:
            FacerecError: OPTION_INVALID where the key's file can't be read or a switch is neither on nor off.

        Example:
            >>> Security.from_environment({"FACEREC_API_KEY_FILE": "key", "FACEREC_TLS": "1"}).is_tls
            True
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
        """Whether TLS is used."""
        return self.tls or bool(self.files) or bool(self.server_name)

    @property
    def files(self) -> list[Path]:
        """The certificate files that are set."""
        return [Path(path) for path in (self.ca_file, self.cert_file, self.key_file) if path]

    def credentials(self) -> grpc.ChannelCredentials:
        """The credentials of a channel with TLS, from the files as they are now.

        Raises:
            FacerecError: OPTION_INVALID, `field` naming the file, where one cannot be read or is not PEM, or
                where key and certificate do not fit together.
        """
        if bool(self.cert_file) != bool(self.key_file):
            raise FacerecError(
                "a client's certificate needs its key, and vice versa: set both cert_file and key_file",
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
        """The channel options for `server_name`; none without it."""
        return (
            [("grpc.ssl_target_name_override", self.server_name)] if self.is_tls and self.server_name else []
        )

    def metadata(self, address: str) -> tuple[tuple[str, str], ...]:
        """The metadata of each call to an address: the key, if there is one.

        Args:
            address: The address, as a client takes it.

        Raises:
            FacerecError: NOT_PERMITTED where the key would leave this machine in plain text, OPTION_INVALID
                where it has characters that no key has.
        """
        if not self.api_key:
            return ()
        if not _KEY.fullmatch(self.api_key):
            raise FacerecError(
                "the key has a line break, a space at an end or invalid characters; give only its text",
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
