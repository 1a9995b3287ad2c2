"""Unusable certificates and keys are refused at the start, and ignored when files change later."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
import trustme
from cryptography.hazmat.primitives import serialization

from facerec.client import AsyncEncoderClient, EncoderClient, MatcherClient, Security
from facerec.errors import FacerecError, Reason
from facerec.serving.auth import files
from facerec.serving.auth.key_store import KeyStore
from facerec.serving.auth.tls import ServerTls
from facerec.serving.server.errors import SettingsInvalid
from matcher_service import encoder_client
from matcher_service.domain.errors import EncoderUnavailable
from tests.e2e.access.conftest import Authority, entry
from tests.e2e.access.test_tls import shown, tls

StartEncoder = Callable[..., Any]
Spoil = Callable[[Authority, str], None]


def write(suffix: str, content: str) -> Spoil:
    return lambda authority, stem: void((authority.folder / f"{stem}{suffix}").write_text(content))


def void(_: object) -> None:
    return None


def cut(suffix: str) -> Spoil:
    def spoil(authority: Authority, stem: str) -> None:
        path = authority.folder / f"{stem}{suffix}"
        path.write_bytes(path.read_bytes()[:200])

    return spoil


def remove(suffix: str) -> Spoil:
    return lambda authority, stem: (authority.folder / f"{stem}{suffix}").unlink()


def renew_the_key_alone(authority: Authority, stem: str) -> None:
    key = authority.ca.issue_cert("localhost").private_key_pem.bytes()
    (authority.folder / f"{stem}.key").write_bytes(key)


def encrypt_the_key(authority: Authority, stem: str) -> None:
    path = authority.folder / f"{stem}.key"
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"secret")
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))


FAULTS: dict[str, tuple[Spoil, str, str]] = {
    "a certificate that is none": (write(".pem", "junk"), "cert_file", "does not contain a PEM certificate"),
    "a certificate cut short": (cut(".pem"), "cert_file", "does not contain a PEM certificate"),
    "an empty certificate": (write(".pem", ""), "cert_file", "does not contain a PEM certificate"),
    "no certificate": (remove(".pem"), "cert_file", "No such file"),
    "a key that is none": (write(".key", "junk"), "key_file", "does not contain a PEM key"),
    "a key cut short": (cut(".key"), "key_file", "does not contain a PEM key"),
    "no key": (remove(".key"), "key_file", "No such file"),
    "a key before its certificate": (renew_the_key_alone, "key_file", "do not match"),
    "an encrypted key": (encrypt_the_key, "key_file", "is encrypted"),
}
CA_FAULTS: dict[str, tuple[Spoil, str, str]] = {
    "a CA that is none": (write(".pem", "junk"), "ca_file", "does not contain a PEM certificate"),
    "a CA cut short": (cut(".pem"), "ca_file", "does not contain a PEM certificate"),
    "an empty CA": (write(".pem", ""), "ca_file", "does not contain a PEM certificate"),
    "no CA": (remove(".pem"), "ca_file", "No such file"),
}


@pytest.mark.parametrize("fault", [*FAULTS, *CA_FAULTS])
def test_a_client_refuses_files_that_cannot_be_used_and_names_the_field(
    authority: Authority, fault: str
) -> None:
    ca, (cert, key) = authority.ca_file, authority.issue("client", "client")
    spoil, field, message = (FAULTS | CA_FAULTS)[fault]
    spoil(authority, "ca" if field == "ca_file" else "client")
    security = Security(ca_file=ca, cert_file=cert, key_file=key)
    for client in (EncoderClient, AsyncEncoderClient, MatcherClient):
        with pytest.raises(FacerecError, match=message) as caught:
            client("127.0.0.1:1", security=security)
        assert (caught.value.reason, caught.value.field) == (Reason.OPTION_INVALID, field)
        assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize("fault", [*FAULTS, *CA_FAULTS])
def test_a_server_does_not_start_with_them_and_names_the_setting(authority: Authority, fault: str) -> None:
    ca, (cert, key) = authority.ca_file, authority.issue("server", "localhost")
    spoil, field, message = (FAULTS | CA_FAULTS)[fault]
    spoil(authority, "ca" if field == "ca_file" else "server")
    setting = {"ca_file": "tls_client_ca_file"}.get(field, f"tls_{field}")
    with pytest.raises(SettingsInvalid, match=f"^{setting}: .*{message}"):
        ServerTls(cert, key, ca)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_server_keeps_its_old_certificate_until_the_new_files_are_usable(
    authority: Authority, start_encoder: StartEncoder, fault: str
) -> None:
    server = await start_encoder(**tls(authority))
    first = await asyncio.to_thread(shown, server.address)
    with structlog.testing.capture_logs() as logs:
        FAULTS[fault][0](authority, "server")
        for _ in range(3):
            assert await asyncio.to_thread(shown, server.address) == first
        authority.issue("server", "localhost", "127.0.0.1")
        assert await asyncio.to_thread(shown, server.address) != first
    events = [each["event"] for each in logs if "certificates" in each["event"]]
    assert events == ["certificates_reload_failed", "certificates_reloaded"]


@pytest.mark.parametrize("fault", [*FAULTS, *CA_FAULTS])
async def test_the_matcher_keeps_its_old_client_certificate_until_the_new_files_are_usable(
    authority: Authority,
    start_encoder: StartEncoder,
    keys_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr(files, "POLL_SECONDS", 0.0)
    trusted = authority.ca_file.rename(authority.folder / "trusted.pem")
    server = await start_encoder(**tls(authority, tls_client_ca_file=trusted, keys_file=keys_file()))
    await server.set_serving("facerec.encoder.v1.EncoderService", True)
    cert, key = authority.issue("matcher", "matcher")
    security = Security(ca_file=authority.ca_file, cert_file=cert, key_file=key)
    client = encoder_client.EncoderClient(server.address, timeout_seconds=30, security=security, max_images=1)
    try:
        with structlog.testing.capture_logs() as logs:
            await reaches(client)
            spoil, field, _ = (FAULTS | CA_FAULTS)[fault]
            spoil(authority, "ca" if field == "ca_file" else "matcher")
            for _ in range(3):
                await reaches(client)
            assert authority.issue("matcher", "matcher") == (cert, key)
            assert authority.ca_file.exists()
            await reaches(client)
    finally:
        await client.close()
    events = [each["event"] for each in logs if "certificates" in each["event"]]
    assert events == ["encoder_certificates_reload_failed", "encoder_certificates_reloaded"]


async def reaches(client: encoder_client.EncoderClient) -> None:
    """Call an encoder that knows no key, which answers so after a successful handshake."""
    with pytest.raises(EncoderUnavailable) as caught:
        await client.encode(b"x", max_faces=1, field="probe.image")
    assert isinstance(caught.value.__cause__, FacerecError)
    assert caught.value.__cause__.reason is Reason.KEY_MISSING


def test_a_missing_keys_file_is_logged_once_and_its_keys_stay_valid(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(entry("door", "k", ["verify"]))
    key_store = KeyStore(path)
    aside = path.rename(tmp_path / "aside")
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            key_store.reload_if_changed()
            assert key_store.find("Bearer k", list).name == "door"
        aside.rename(path)
        key_store.reload_if_changed()
        key_store.reload_if_changed()
    assert [each["event"] for each in logs] == ["key_store_reload_failed", "key_store_reloaded"]


def test_a_ca_file_may_hold_comments_in_any_language(authority: Authority) -> None:
    ca = authority.ca_file
    ca.write_bytes("# Főtanúsítvány\n".encode() + ca.read_bytes() + trustme.CA().cert_pem.bytes())
    Security(ca_file=ca).credentials()
