"""The errors of commands whose service does not answer at its address."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from facerec.cli import main
from facerec.client.channel import ENCODER_SERVICE, MATCHER_SERVICE
from facerec.serving.server.server import Server, ServerOptions, Service


@contextlib.asynccontextmanager
async def listening(service: str, *, ready: bool = True, **options: Any) -> AsyncIterator[Server]:
    """A server with one service and without its methods."""

    def register(server: Any) -> None:
        server.add_registered_method_handlers(service, {})

    server = Server(ServerOptions("127.0.0.1:0", **options), [Service(service, register)])
    await server.start()
    await server.set_serving(service, ready)
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """What `facerec people` says of a matcher's address, after the words that every such line begins with."""

    def ask(address: str) -> str:
        assert main(["people", "--matcher", address]) == 2
        line = capsys.readouterr().err
        start = f"error: no matcher is ready at {address}: "
        assert line.startswith(start), line
        assert line.count("\n") == 1
        return line.removeprefix(start)

    return ask


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "nothing listens there: start it with `facerec up`"),
        ("nobody.invalid:50052", "the host name nobody.invalid is unknown"),
    ],
)
def test_an_invalid_address_is_refused_with_what_is_wrong(
    address: str, words: str, said: Callable[[str], str]
) -> None:
    assert said(address).startswith(words)


@pytest.mark.parametrize(
    ("address", "fix"),
    [
        ("127.0.0.1", "give HOST:PORT"),
        ("::1", "give HOST:PORT"),
        ("127.0.0.1:matcher", "give HOST:PORT"),
        ("127.0.0.1:70000", "give HOST:PORT"),
        ("127.0.0.1:50052,127.0.0.1:50053", "give HOST:PORT"),
        ("http://127.0.0.1:50052", "leave out http://; for TLS set FACEREC_TLS=1"),
    ],
)
def test_an_address_of_another_form_is_refused(
    address: str, fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["people", "--matcher", address]) == 2
    assert capsys.readouterr().err.startswith(f"error: address {address!r}: {fix}")


def test_an_encoders_address_without_a_port_is_refused_with_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["status", "--encoder", "localhost", "--matcher", "localhost", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert "such as 127.0.0.1:50051" in report["encoder"]["problem"]
    assert "such as 127.0.0.1:50052" in report["matcher"]["problem"]


async def test_a_service_that_is_not_ready_is_distinguished_from_one_that_is_absent(
    said: Callable[[str], str],
) -> None:
    async with listening(MATCHER_SERVICE, ready=False) as server:
        problem = await asyncio.to_thread(said, server.address)
    assert problem.startswith("it is not serving yet")


async def test_a_service_of_a_release_without_the_call_is_reported_as_such(
    said: Callable[[str], str],
) -> None:
    async with listening(MATCHER_SERVICE) as server:
        problem = await asyncio.to_thread(said, server.address)
    assert problem.startswith("its release does not have this call")


async def test_the_address_of_the_other_service_is_reported_as_such(said: Callable[[str], str]) -> None:
    async with listening(ENCODER_SERVICE) as server:
        problem = await asyncio.to_thread(said, server.address)
    assert problem.startswith("it is the encoder: give the matcher's address with --matcher")


async def test_a_service_that_speaks_tls_is_reported_with_the_setting_it_needs(
    said: Callable[[str], str], tmp_path: Path
) -> None:
    made = trustme.CA().issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made.cert_chain_pems[0].write_to_path(str(cert))
    made.private_key_pem.write_to_path(str(key))
    async with listening(MATCHER_SERVICE, tls_cert_file=cert, tls_key_file=key) as server:
        problem = await asyncio.to_thread(said, server.address)
    assert problem.startswith("it uses TLS: set FACEREC_TLS_CA_FILE to the CA of its certificate")


async def test_a_service_that_speaks_plain_text_is_reported_to_a_caller_with_tls(
    said: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEREC_TLS", "1")
    async with listening(MATCHER_SERVICE) as server:
        problem = await asyncio.to_thread(said, server.address)
    assert problem.startswith("it uses plain text, not TLS; unset FACEREC_TLS")


async def test_a_failed_tls_handshake_prints_only_the_error_line() -> None:
    async with listening(MATCHER_SERVICE) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "facerec", "people", "--matcher", server.address),
            env={**os.environ, "FACEREC_TLS": "1"},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    assert (process.returncode, said.count(b"\n"), said[:7]) == (2, 1, b"error: ")


async def test_a_server_that_is_no_facerec_service_is_reported_as_such(said: Callable[[str], str]) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        problem = await asyncio.to_thread(said, f"{host}:{port}")
    assert problem.startswith("it is not a facerec service")


def test_the_help_names_the_variables_for_keys_and_tls(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    output = capsys.readouterr().out
    for name in ("API_KEY", "API_KEY_FILE", "TLS", "TLS_CA_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE"):
        assert f"FACEREC_{name}" in output
    assert "FACEREC_TLS_SERVER_NAME" in output
    assert "FACEREC_PLAINTEXT_KEY" in output
    for command in ("verify", "encode", "people"):
        main([command, "--help"])
        problem = " ".join(capsys.readouterr().out.split())
        assert "FACEREC_API_KEY is the key, FACEREC_TLS_CA_FILE the CA" in problem
