"""TLS on both services and between them: who is accepted, and certificates that change."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from facerec.client import AsyncEncoderClient, AsyncMatcherClient, Security
from facerec.errors import FacerecError, Reason
from facerec.serving.auth import files
from facerec.serving.server.errors import SettingsInvalid
from facerec.tls_errors import tls_errors
from matcher_service.domain.errors import EncoderUnavailable
from matcher_service.encoder_client import EncoderClient
from tests.e2e.access.conftest import Authority, entry
from tests.fixtures.matcher import StartMatcher, matcher_service

StartEncoder = Callable[..., Any]
SOON = 30


def tls(authority: Authority, **settings: Any) -> dict[str, Any]:
    """The settings of a server with a certificate for this machine."""
    cert, key = authority.issue("server", "localhost", "127.0.0.1")
    return {"tls_cert_file": cert, "tls_key_file": key} | settings


async def answers(address: str, security: Security) -> Reason | None:
    """Why a call to an encoder without models fails: MODEL_UNAVAILABLE where it got through."""
    async with AsyncEncoderClient(address, timeout_seconds=SOON, security=security) as client:
        try:
            await client.get_model()
        except FacerecError as error:
            return error.reason
    return None


LET_IN = (None, Reason.MODEL_UNAVAILABLE)


async def test_a_server_with_a_certificate_is_verified_by_its_ca_and_accepts_only_tls(
    authority: Authority, start_encoder: StartEncoder
) -> None:
    server = await start_encoder(**tls(authority))
    await server.set_serving("facerec.encoder.v1.EncoderService", True)
    assert await answers(server.address, Security(ca_file=authority.ca_file)) in LET_IN
    assert await answers(server.address, Security()) not in LET_IN
    other = Authority(trustme.CA(), authority.folder / "other")
    other.folder.mkdir()
    assert await answers(server.address, Security(ca_file=other.ca_file)) not in LET_IN
    elsewhere = Security(ca_file=authority.ca_file, server_name="elsewhere.example")
    assert await answers(server.address, elsewhere) not in LET_IN


async def test_a_peer_that_is_refused_learns_why(authority: Authority, start_encoder: StartEncoder) -> None:
    ca = authority.ca_file
    by_tls = await start_encoder(**tls(authority))
    by_certificate = await start_encoder(**tls(authority, tls_client_ca_file=ca))
    plain = await start_encoder()
    other = Authority(trustme.CA(), authority.folder / "other")
    other.folder.mkdir()
    for address, security, message in (
        (by_tls.address, Security(ca_file=str(other.ca_file)), "no CA trusted here has signed it"),
        (by_tls.address, Security(ca_file=ca, server_name="elsewhere.example"), "for another name"),
        (by_tls.address, Security(), "if it uses TLS, name its CA"),
        (by_certificate.address, Security(ca_file=ca), "certificate"),
        (plain.address, Security(ca_file=ca), "it uses plain text"),
    ):
        async with AsyncEncoderClient(address, timeout_seconds=SOON, security=security) as client:
            with pytest.raises(FacerecError) as caught:
                await client.get_model()
        assert caught.value.reason is Reason.UNREACHABLE
        assert message in tls_errors(caught.value.message), caught.value.message
        assert message in caught.value.message


async def test_with_a_client_ca_only_its_unexpired_certificates_are_accepted(
    authority: Authority, start_encoder: StartEncoder
) -> None:
    server = await start_encoder(**tls(authority, tls_client_ca_file=authority.ca_file))
    await server.set_serving("facerec.encoder.v1.EncoderService", True)
    ca = authority.ca_file
    cert, key = authority.issue("client", "door.example")
    assert await answers(server.address, Security(ca_file=ca, cert_file=cert, key_file=key)) in LET_IN
    assert await answers(server.address, Security(ca_file=ca)) not in LET_IN
    old = authority.issue("old", "door.example", expired=True)
    assert (
        await answers(server.address, Security(ca_file=ca, cert_file=old[0], key_file=old[1])) not in LET_IN
    )
    other = Authority(trustme.CA(), authority.folder / "other")
    other.folder.mkdir()
    certificate = other.issue("client", "door.example")
    assert (
        await answers(server.address, Security(ca_file=ca, cert_file=certificate[0], key_file=certificate[1]))
        not in LET_IN
    )


async def test_a_certificates_name_authenticates_like_a_key(
    authority: Authority, start_encoder: StartEncoder, keys_file: Callable[..., Path]
) -> None:
    certificates = '[[certificates]]\nname = "door"\nsubject = "door.example"\nroles = ["encode"]\n'
    certificates += '[[certificates]]\nname = "desk"\nsubject = "desk.example"\nroles = ["verify"]\n'
    path = keys_file(certificates, entry("lab", "k", ["encode"]))
    server = await start_encoder(**tls(authority, tls_client_ca_file=authority.ca_file, keys_file=path))
    await server.set_serving("facerec.encoder.v1.EncoderService", True)

    async def with_name(name: str, api_key: str = "") -> Reason | None:
        cert, key = authority.issue(name, name)
        security = Security(ca_file=authority.ca_file, cert_file=cert, key_file=key, api_key=api_key)
        return await answers(server.address, security)

    assert await with_name("door.example") in LET_IN
    assert await with_name("desk.example") is Reason.NOT_PERMITTED
    assert await with_name("nobody.example") is Reason.KEY_MISSING
    assert await with_name("nobody.example", "k") in LET_IN
    assert await with_name("door.example", "no such key") is Reason.KEY_UNKNOWN


def shown(address: str) -> bytes:
    """The certificate that a server shows."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(port)), SOON) as plain, context.wrap_socket(plain) as wrapped:
        certificate = wrapped.getpeercert(binary_form=True)
    assert certificate
    return certificate


async def test_a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not(
    authority: Authority, start_encoder: StartEncoder
) -> None:
    server = await start_encoder(**tls(authority))
    first = await asyncio.to_thread(shown, server.address)
    tls(authority)  # over the same files
    second = await asyncio.to_thread(shown, server.address)
    assert second != first
    (authority.folder / "server.pem").write_text("no certificate")
    assert await asyncio.to_thread(shown, server.address) == second


async def test_health_alone_is_answered_in_plain_text_on_its_own_port(
    authority: Authority, start_encoder: StartEncoder
) -> None:
    server = await start_encoder(**tls(authority, health_address="127.0.0.1:0"))
    async with grpc.aio.insecure_channel(server.health_address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=SOON)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        await server.set_serving("facerec.encoder.v1.EncoderService", True)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=SOON)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(FacerecError) as caught:
        async with AsyncEncoderClient(server.health_address, timeout_seconds=SOON) as client:
            await client.get_model()
    assert caught.value.reason not in LET_IN


async def test_the_matcher_sends_the_encoder_its_certificate_and_key_and_reloads_their_files(
    authority: Authority,
    start_encoder: StartEncoder,
    keys_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "POLL_SECONDS", 0.0)
    path = keys_file(entry("matcher", "k", ["encode"]))
    server = await start_encoder(**tls(authority, tls_client_ca_file=authority.ca_file, keys_file=path))
    await server.set_serving("facerec.encoder.v1.EncoderService", True)
    old = authority.issue("matcher", "matcher", expired=True)
    security = Security(api_key="k", ca_file=authority.ca_file, cert_file=old[0], key_file=old[1])
    client = EncoderClient(server.address, timeout_seconds=SOON, security=security, max_images=1)
    try:
        with pytest.raises(EncoderUnavailable) as caught:
            await client.encode(b"x", max_faces=1, field="probe.image")
        assert isinstance(caught.value.__cause__, FacerecError)
        assert caught.value.__cause__.reason not in LET_IN
        authority.issue("matcher", "matcher")  # over the same files
        with pytest.raises(EncoderUnavailable) as caught:
            await client.encode(b"x", max_faces=1, field="probe.image")
        assert isinstance(caught.value.__cause__, FacerecError)
        assert caught.value.__cause__.reason is Reason.MODEL_UNAVAILABLE
    finally:
        await client.close()


async def test_a_matcher_serves_over_tls(
    authority: Authority, start_matcher: StartMatcher, database_url: str
) -> None:
    service = matcher_service(database_url, **tls(authority))
    async with service:
        await service.checked.wait()
        security = Security(ca_file=authority.ca_file)
        async with AsyncMatcherClient(service.server.address, security=security) as client:
            assert [person async for person in client.list_persons()] == []


async def test_mismatched_files_keep_a_server_from_starting(authority: Authority, database_url: str) -> None:
    cert, _ = authority.issue("one", "localhost")
    _, key = authority.issue("two", "localhost")
    for settings, message in (
        ({"tls_cert_file": cert, "tls_key_file": key}, "do not match"),
        ({"tls_cert_file": cert}, "together"),
        ({"tls_cert_file": cert, "tls_key_file": authority.folder / "none"}, "none"),
    ):
        with pytest.raises(SettingsInvalid) as caught:
            matcher_service(database_url, **settings)
        assert message in str(caught.value)


async def test_with_tls_a_server_listens_beyond_loopback_without_a_flag(
    authority: Authority, database_url: str
) -> None:
    assert matcher_service(database_url, address="0.0.0.0:0", **tls(authority)).server.address == "0.0.0.0:0"
