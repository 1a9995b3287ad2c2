"""Keys, rates and certificates hold as over gRPC, and the gateway's own certificate gives nobody a right."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from facerec.gateway.methods import METHODS
from tests.e2e.access.conftest import Authority, entry
from tests.e2e.gateway import http
from tests.fixtures.gateway import StartGateway
from tests.fixtures.matcher import NOWHERE, StartMatcher
from tests.fixtures.process import ServiceProcess
from tests.fixtures.waiting import wait_until

VERIFY = "/facerec.matcher.v1.MatcherService/Verify"
ENROLL = "/facerec.matcher.v1.MatcherService/Enroll"
FACE = {"encoding": {"values": [0.1] * 128, "space": "dlib-resnet-v1/small/150x0.25"}}
CLAIM = {"personId": "nobody", "probe": FACE}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(trustme.CA(), tmp_path)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """`admin`, and `door` that may verify, twice."""
    limits = "encodings = true\nprobes_per_second = 0.001\nburst = 2"
    path = tmp_path / "keys.toml"
    path.write_text(f"{entry('admin', 'admin', ['admin'])}\n{entry('door', 'door', ['verify'], limits)}")
    return path


async def test_keys_roles_and_rates_hold_on_every_path(
    start_matcher: StartMatcher, database_url: str, keys: Path, start_gateway: StartGateway
) -> None:
    matcher = await start_matcher(database_url, keys_file=keys)
    address = start_gateway(NOWHERE, matcher.address).address

    def check() -> None:
        for path in METHODS:
            if "Encoder" not in path and METHODS[path].kind == "unary_unary":
                answer = http.post(address, path, {})
                assert (answer.status, answer.reason) == (401, "KEY_MISSING"), path
        for path in (VERIFY, "/v1/verify"):
            for key, reason in (("unknown", "UNKNOWN"), ("a\tb", "UNKNOWN"), ("a\x01b", "MISSING")):
                answer = http.post(address, path, CLAIM, bearer(key))
                assert (answer.status, answer.reason) == (401, f"KEY_{reason}")
        for path in (ENROLL, "/v1/enroll"):
            answer = http.post(address, path, {"personId": "ann"}, bearer("door"))
            assert (answer.status, answer.reason) == (403, "NOT_PERMITTED")
        answer = http.post(address, VERIFY, CLAIM, bearer("door"))
        assert (answer.status, answer.reason, answer.field) == (404, "PERSON_NOT_FOUND", "person_id")
        debug = {each["type"]: each["debug"] for each in answer.json["details"]}
        assert debug["google.rpc.ErrorInfo"]["reason"] == "PERSON_NOT_FOUND"
        answer = http.post(address, "/v1/verify", CLAIM, bearer("door"))
        while answer.status == 404:
            answer = http.post(address, "/v1/verify", CLAIM, bearer("door"))
        assert (answer.status, answer.reason) == (429, "RATE_LIMITED")
        assert int(answer.headers["retry-after"]) > 1

    await _in_thread(check)


async def _in_thread(check: Callable[[], None]) -> None:
    import asyncio

    await asyncio.to_thread(check)


async def test_behind_certificates_only_keys_count_and_a_new_certificate_is_used(
    start_matcher: StartMatcher,
    database_url: str,
    tmp_path: Path,
    authority: Authority,
    start_gateway: StartGateway,
) -> None:
    cert, key = authority.issue("server", "localhost")
    own_cert, own_key = authority.issue("gateway", "gateway.internal")
    keys = tmp_path / "keys.toml"
    permitted = '[[certificates]]\nname = "gateway"\nsubject = "gateway.internal"\nroles = ["admin"]\n'
    keys.write_text(f"{entry('admin', 'admin', ['admin'])}\n{permitted}")
    tls: Any = {"tls_cert_file": cert, "tls_key_file": key, "tls_client_ca_file": authority.ca_file}
    matcher = await start_matcher(database_url, keys_file=keys, **tls)
    port = matcher.address.rpartition(":")[2]
    gateway = start_gateway(
        "localhost:1",
        f"localhost:{port}",
        *("--services-tls-ca-file", str(authority.ca_file)),
        *("--services-tls-cert-file", str(own_cert), "--services-tls-key-file", str(own_key)),
        *("--tls-cert-file", str(cert), "--tls-key-file", str(key)),
    )
    address = f"localhost:{gateway.address.rpartition(':')[2]}"
    await _in_thread(lambda: _check_tls(gateway, address, authority))


def _check_tls(gateway: ServiceProcess, address: str, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    path = "/v1/persons/nobody"
    assert http.send(address, "GET", path, None, bearer("admin"), context=context).status == 404
    for headers in ({}, {"authorization": ""}):
        refused = http.send(address, "GET", path, None, headers, context=context)
        assert (refused.status, refused.reason) == (401, "KEY_MISSING")
    session = http.send(address, "GET", "/console/session", context=context)
    assert (session.status, session.json["keys_required"]) == (200, True)
    other = trustme.CA()
    renewed = Authority(other, authority.folder)
    new_ca = authority.folder / "new-ca.pem"
    other.cert_pem.write_to_path(str(new_ca))
    renewed.issue("server", "localhost")
    new_context = ssl.create_default_context(cafile=str(new_ca))

    def uses_new() -> bool:
        try:
            return http.send(address, "GET", "/health", context=new_context).status == 200
        except ssl.SSLError:
            return False

    wait_until(uses_new)
    gateway.event("certificates_reloaded")
    renewed.issue("gateway", "gateway.internal")
    other.cert_pem.write_to_path(str(authority.folder / "ca.pem"))
    gateway.event("services_certificates_reloaded")
    headers = bearer("admin")
    wait_until(lambda: http.send(address, "GET", path, None, headers, context=new_context).status == 404)


def test_a_gateway_that_requires_client_certificates_takes_no_connection_without_one(
    authority: Authority, start_gateway: StartGateway
) -> None:
    cert, key = authority.issue("server", "localhost")
    ca_file = str(authority.ca_file)
    tls = ("--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-client-ca-file", ca_file)
    gateway = start_gateway(NOWHERE, NOWHERE, *tls)
    address = f"localhost:{gateway.address.rpartition(':')[2]}"
    context = ssl.create_default_context(cafile=ca_file)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        http.send(address, "GET", "/health", context=context)
    context.load_cert_chain(*authority.issue("door", "door.example"))
    assert http.send(address, "GET", "/health", context=context).status == 200


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--address", "0.0.0.0:0"), "can be reached from other machines"),
        (("--matcher-address", "matcher.example:50052"), "in plain text"),
        (("--matcher-address", "matcher.example"), "give HOST:PORT"),
        (("--tls-cert-file", "/nowhere"), "tls_key_file together"),
        (("--services-tls-ca-file", "/nowhere"), "/nowhere"),
        (("--max-calls", "0"), "--max-calls (GATEWAY_MAX_CALLS)"),
    ],
)
def test_settings_that_are_unsafe_or_invalid_are_refused(
    flags: tuple[str, str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from facerec.gateway.commands import main

    assert main(["check-config", *flags]) == 2
    assert problem in capsys.readouterr().err
    assert main(["check-config"]) == 0


def test_the_command_shows_the_gateway_s_settings(capsys: pytest.CaptureFixture[str]) -> None:
    from facerec.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["gateway", "--help"])
    assert ended.value.code == 0
    assert "--allowed-origins" in capsys.readouterr().out
    assert main(["gateway", "--address", "nowhere"]) == 2
