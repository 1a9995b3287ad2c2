"""Requests that are not signed with a known key, now, as they are, are refused before anything is called."""

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateway import http
from tests.e2e.gateway.rekognition.calling import (
    ACCESS_KEY,
    SECRET,
    exception,
    refusal,
    send,
    signed_headers,
)
from tests.e2e.gateway.rekognition.conftest import write_keys
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.matcher import NOWHERE
from tests.fixtures.waiting import wait_until

CALL, BODY = "ListCollections", b'{"MaxResults": 1}'
REACHED = "InternalServerError"  # the request was let through to services that are not there
MAX_BYTES = 100_000
Change = Callable[[dict[str, str]], object]


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keys(tmp_path_factory.mktemp("keys") / "keys.toml", {ACCESS_KEY: SECRET})


@pytest.fixture(scope="module")
def process(keys_file: Path) -> Iterator[GatewayProcess]:
    """A gateway with an access key, before services that cannot be reached."""
    limits = ("--max-request-bytes", str(MAX_BYTES), "--max-bytes-in-flight", str(4 * MAX_BYTES))
    found = GatewayProcess(NOWHERE, NOWHERE, *limits, "--rekognition-keys-file", str(keys_file))
    yield found
    assert found.stop() == 0


@pytest.fixture(scope="module")
def gateway(process: GatewayProcess) -> str:
    return process.address


def test_a_signed_request_is_let_through_within_five_minutes(gateway: str) -> None:
    for seconds in (0, -290, 290):
        assert exception(send(gateway, CALL, BODY, skew_seconds=seconds)) == REACHED
    for seconds in (-310, 310, -90_000):
        answer = send(gateway, CALL, BODY, skew_seconds=seconds)
        assert exception(answer) == "InvalidSignatureException"
        assert "set the clock" in answer.json["Message"]


def test_only_the_owner_of_a_known_key_signs(gateway: str) -> None:
    assert exception(send(gateway, CALL, BODY, secret=SECRET + "x")) == "InvalidSignatureException"
    assert exception(send(gateway, CALL, BODY, access_key="door-2")) == "UnrecognizedClientException"
    assert exception(send(gateway, CALL, BODY, service="s3")) == "InvalidSignatureException"
    token = {"x-amz-security-token": "a session"}
    assert exception(send(gateway, CALL, BODY, more=token)) == "UnrecognizedClientException"
    unsigned = {"x-amz-target": "RekognitionService.ListCollections"}
    assert exception(http.send(gateway, "POST", "/", BODY, unsigned)) == "MissingAuthenticationTokenException"
    bearer = {**unsigned, "authorization": f"Bearer {SECRET}"}
    assert exception(http.send(gateway, "POST", "/", BODY, bearer)) == "IncompleteSignatureException"


def altered(name: str, value: str) -> Change:
    return lambda headers: headers.update({name: value})


def without_signing(name: str) -> Change:
    """Take a header out of those that are said to be signed."""

    def change(headers: dict[str, str]) -> None:
        signed = headers["authorization"].replace(f";{name}", "").replace(f"{name};", "")
        headers["authorization"] = signed

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (altered("x-amz-target", "RekognitionService.DeleteCollection"), "InvalidSignatureException"),
        (altered("host", "localhost:80"), "InvalidSignatureException"),
        (altered("content-type", "text/plain"), "InvalidSignatureException"),
        (altered("x-amz-later", "1"), "InvalidSignatureException"),
        (altered("x-amz-date", "yesterday"), "IncompleteSignatureException"),
        (altered("x-amz-date", "20260230T000000Z"), "IncompleteSignatureException"),
        (altered("authorization", "AWS4-HMAC-SHA256 Credential="), "IncompleteSignatureException"),
        (without_signing("host"), "InvalidSignatureException"),
        (without_signing("x-amz-date"), "InvalidSignatureException"),
        (without_signing("x-amz-target"), "InvalidSignatureException"),
        (without_signing("content-type"), "InvalidSignatureException"),
        (lambda headers: headers.pop("x-amz-date"), "IncompleteSignatureException"),
        (lambda headers: headers.pop("content-type"), "IncompleteSignatureException"),
    ],
)
def test_headers_that_differ_from_those_signed_are_refused(
    gateway: str, change: Change, expected: str
) -> None:
    headers = signed_headers(gateway, CALL, BODY)
    change(headers)
    assert exception(http.send(gateway, "POST", "/", BODY, headers)) == expected


def test_another_body_or_path_than_the_one_signed_is_refused(gateway: str) -> None:
    headers = signed_headers(gateway, CALL, BODY)
    altered_body = http.send(gateway, "POST", "/", b'{"MaxResults": 2}', headers)
    assert exception(altered_body) == "InvalidSignatureException"
    assert (
        exception(http.send(gateway, "POST", "/?MaxResults=2", BODY, headers)) == "InvalidParameterException"
    )
    for verb, path in (("POST", "//"), ("POST", "/%2e"), ("POST", "/x/.."), ("GET", "/"), ("POST", "/v1")):
        assert http.send(gateway, verb, path, BODY, headers).status in (404, 405), path
    other = {**headers, "x-amz-target": "DynamoDB_20120810.ListTables"}
    assert http.send(gateway, "POST", "/", BODY, other).status == 404


def test_large_and_deep_bodies_are_refused_within_the_gateway_s_limits(gateway: str) -> None:
    large = json.dumps({"NextToken": "a" * MAX_BYTES}).encode()
    assert exception(send(gateway, CALL, large)) == "InvalidParameterException"
    deep = b'{"NextToken": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"
    assert exception(send(gateway, CALL, deep)) == "SerializationException"
    assert refusal(gateway, CALL, Unknown=1) == "InvalidParameterException"
    assert refusal(gateway, "DetectLabels") == "UnknownOperationException"


def test_keys_are_read_again_when_their_file_changes_and_kept_while_it_is_invalid(
    process: GatewayProcess, keys_file: Path
) -> None:
    gateway = process.address

    def known(secret: str) -> bool:
        return exception(send(gateway, CALL, BODY, access_key="door-3", secret=secret)) == REACHED

    write_keys(keys_file, {ACCESS_KEY: SECRET, "door-3": "first"})
    wait_until(lambda: known("first"))
    write_keys(keys_file, {ACCESS_KEY: SECRET, "door-3": "second"})
    wait_until(lambda: known("second"))
    assert not known("first")
    keys_file.write_text("secret_access_key = ")
    wait_until(lambda: known("second") and any("access_keys_reload_failed" in line for line in process.lines))
    assert known("second")
    assert not any(
        "secret" in line.partition("why")[2].replace("secret_access", "") for line in process.lines
    )
    write_keys(keys_file, {ACCESS_KEY: SECRET})
    wait_until(lambda: not known("second"))


ENTRY = '[[keys]]\naccess_key_id = "door-1"\nsecret_access_key = "hidden-key"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "keys: Field required"),
        ("keys = []", "keys"),
        (ENTRY + ENTRY, "the same access_key_id"),
        (ENTRY + "role = 1", "keys.0.role"),
        (ENTRY.replace("door-1", "a/b"), "access_key_id"),
        (ENTRY.replace("hidden-key", "hidden key"), "secret_access_key"),
        (ENTRY.replace('"hidden-key"', '"hidden-key'), "cannot be read as TOML"),
    ],
)
def test_an_invalid_file_is_refused_without_a_word_of_its_keys(
    text: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from facerec.gateway.commands import main

    path = tmp_path / "keys.toml"
    path.write_text(text)
    path.chmod(0o640)
    assert main(["check-config", "--rekognition-keys-file", str(path)]) == 2
    said = capsys.readouterr().err
    assert problem in said
    assert "hidden" not in said


def test_a_file_that_everybody_can_read_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from facerec.gateway.commands import main

    path = tmp_path / "keys.toml"
    path.write_text(ENTRY)
    path.chmod(stat.S_IRUSR | stat.S_IROTH)
    flags: list[Any] = ["check-config", "--rekognition-keys-file", str(path)]
    assert main(flags) == 2
    assert "chmod o-r" in capsys.readouterr().err
    path.chmod(stat.S_IRUSR)
    assert main(flags) == 0
