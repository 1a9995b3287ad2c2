"""TLS for a server: certificates from files, reloaded when they change."""

from pathlib import Path

import grpc
import structlog

from facerec import certificates
from facerec.certificates import CertificatesInvalid
from facerec.serving.auth.files import WatchedFiles
from facerec.serving.server.errors import SettingsInvalid

log = structlog.get_logger(__name__)


class ServerTls:
    """TLS from PEM files: a certificate chain and its key, and optionally a CA that client certificates need.

    Raises SettingsInvalid if they cannot be used. While they cannot be used later on, those read last stay
    in use.
    """

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        paths = [path for path in (cert, key, client_ca) if path]
        try:
            self._files = WatchedFiles(paths, self._read, name="certificates")
        except CertificatesInvalid as error:
            setting = "tls_client_ca_file" if error.field == "ca_file" else f"tls_{error.field}"
            raise SettingsInvalid(f"{setting}: {error}") from None

    def credentials(self) -> grpc.ServerCredentials:
        """The credentials to open a port with; each handshake checks whether the files have changed."""
        return grpc.dynamic_ssl_server_credentials(
            self._files.value,
            self._reload_if_changed,
            require_client_authentication=self._client_ca is not None,
        )

    def _reload_if_changed(self) -> grpc.ServerCertificateConfiguration:
        """Called by gRPC on one of its own threads."""
        if self._files.reload_if_changed():
            log.info("certificates_reloaded")
        return self._files.value

    def _read(self) -> grpc.ServerCertificateConfiguration:
        cert, key = certificates.read_pair(self._cert, self._key)
        authorities = certificates.read_authorities(self._client_ca) if self._client_ca else None
        return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=authorities)
