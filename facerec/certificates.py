"""Reads certificates and keys from PEM files, and checks that TLS can use them."""

import ssl
from pathlib import Path


class CertificatesInvalid(ValueError):
    """A file cannot be used, or two do not match; `field` is ca_file, cert_file or key_file."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def read_authorities(path: Path) -> bytes:
    """Read the certificates of trusted CAs, one or several, as PEM. Raises CertificatesInvalid."""
    data = _read(path, "ca_file")
    if not _holds_certificates(data):
        raise CertificatesInvalid(f"{path} does not contain a PEM certificate", "ca_file")
    return data


def read_pair(cert: Path, key: Path) -> tuple[bytes, bytes]:
    """Read a certificate, followed by its intermediate ones, and its key; returns both as PEM.

    Raises CertificatesInvalid where they cannot be used, do not match, or change while they are read.
    """
    data = _read(cert, "cert_file"), _read(key, "key_file")
    if not _holds_certificates(data[0]):
        raise CertificatesInvalid(f"{cert} does not contain a PEM certificate", "cert_file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_refuse_password)
    except _Encrypted:
        raise CertificatesInvalid(f"{key} is encrypted: write it without a password", "key_file") from None
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise CertificatesInvalid(_why_unfit(cert, key, error), "key_file") from None
    if data != (_read(cert, "cert_file"), _read(key, "key_file")):
        raise CertificatesInvalid(f"{cert} or {key} changed while they were read", "cert_file")
    return data


def _why_unfit(cert: Path, key: Path, error: Exception) -> str:
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return f"the certificate of {cert} and the key of {key} do not match"
    return f"{cert} and {key} cannot be used ({reason})" if reason else f"{key} does not contain a PEM key"


class _Encrypted(Exception):
    """The key is encrypted."""


def _refuse_password() -> str:
    """Called for an encrypted key, for which OpenSSL would otherwise prompt at the terminal."""
    raise _Encrypted


def _holds_certificates(data: bytes) -> bool:
    try:  # text that is not ASCII is a comment, such as a name
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=data.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        return False
    return True


def _read(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificatesInvalid(f"{path}: {error.strerror}", field) from None
