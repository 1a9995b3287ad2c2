"""TLS for a server: certificates from files, read anew when they change."""

import ssl
from pathlib import Path

import grpc
import structlog

from facerec.serving.access import files
from facerec.serving.errors import SettingsInvalid

log = structlog.get_logger(__name__)


class ServerTls:
    """A certificate chain and its key, PEM files; with a CA file, clients must show a certificate it signed.

    Raises SettingsInvalid where they cannot be used.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        try:
            self._stamp = files.stamp(self._paths)
            self._configuration = self._read()
        except (OSError, ValueError) as error:
            raise SettingsInvalid(f"TLS: {_why(error)}") from None

    @property
    def _paths(self) -> list[Path]:
        return [path for path in (self._cert, self._key, self._client_ca) if path]

    def credentials(self) -> grpc.ServerCredentials:
        """What a port is opened with. Every handshake looks whether the files have changed."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, self._follow, require_client_authentication=self._client_ca is not None
        )

    def _follow(self) -> grpc.ServerCertificateConfiguration:
        """Called by gRPC, on a thread of its own."""
        try:
            found = files.stamp(self._paths)
            if found != self._stamp:
                self._stamp = found
                self._configuration = self._read()
                log.info("certificates_read")
        except (OSError, ValueError) as error:
            log.error("certificates_not_read", why=_why(error))
        return self._configuration

    def _read(self) -> grpc.ServerCertificateConfiguration:
        """Raises OSError, ValueError (ssl.SSLError is an OSError) where key and certificate don't fit."""
        check = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        check.load_cert_chain(self._cert, self._key)
        if self._client_ca:
            check.load_verify_locations(self._client_ca)
        return grpc.ssl_server_certificate_configuration(
            [(self._key.read_bytes(), self._cert.read_bytes())],
            root_certificates=self._client_ca.read_bytes() if self._client_ca else None,
        )


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"certificate, key and CA don't fit together or are no PEM ({error.reason or 'unreadable'})"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)
