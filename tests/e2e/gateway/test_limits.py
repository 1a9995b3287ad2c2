"""What the gateway refuses before it reads: large, slow, many and malformed requests, and foreign pages."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPResponse

import pytest

from tests.e2e.gateway import http
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.matcher import NOWHERE

VERIFY = "/facerec.matcher.v1.MatcherService/Verify"
MAX_BYTES = 1_000_000


@pytest.fixture(scope="module")
def limited() -> Iterator[GatewayProcess]:
    """A gateway with small limits, before services that cannot be reached."""
    limits = ("--max-request-bytes", str(MAX_BYTES), "--max-bytes-in-flight", "1500000", "--max-calls", "4")
    process = GatewayProcess(
        NOWHERE,
        NOWHERE,
        *limits,
        *("--max-call-seconds", "1", "--grace-seconds", "1", "--log-calls", "all"),
        *("--allowed-origins", "https://door.example http://console.example:8000"),
        *("--allowed-hosts", "faces.example"),
    )
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def patient() -> Iterator[GatewayProcess]:
    """A gateway with the usual limits, before services that cannot be reached."""
    process = GatewayProcess(NOWHERE, NOWHERE)
    yield process
    assert process.stop() == 0


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        yield connection


def head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def read_all(connection: socket.socket) -> bytes:
    """What arrives until the other side closes the connection."""
    found = b""
    try:
        while part := connection.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    response = HTTPResponse(connection)
    response.begin()
    return response.status, response.read()


@pytest.mark.parametrize("path", ["/v1/verify", VERIFY])
def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(
    limited: GatewayProcess, path: str
) -> None:
    with connected(limited.address) as connection:
        length = f"Content-Length: {MAX_BYTES + 1}"
        connection.sendall(head(path, "Content-Type: application/json", length))
        status, body = answer_of(connection)
    assert (status, json.loads(body)["code"]) == (400, "invalid_argument")
    assert b"more than 1,000,000 bytes" in body


@pytest.mark.parametrize("path", ["/v1/verify", VERIFY])
def test_a_body_that_grows_too_large_is_refused_while_it_is_sent(limited: GatewayProcess, path: str) -> None:
    with connected(limited.address) as connection:
        chunked = "Transfer-Encoding: chunked"
        connection.sendall(head(path, "Content-Type: application/json", chunked))
        for _ in range(17):
            connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        status, body = answer_of(connection)
    assert status == 400
    assert b"more than 1,000,000 bytes" in body


@pytest.mark.parametrize("path", ["/v1/verify", VERIFY])
def test_a_body_that_arrives_too_slowly_is_refused(limited: GatewayProcess, path: str) -> None:
    with connected(limited.address) as connection:
        length = "Content-Length: 1000"
        connection.sendall(head(path, "Content-Type: application/json", length) + b"{")
        status, body = answer_of(connection)
    assert status == 504
    assert b"took longer than 1 s" in body


def test_requests_beyond_the_limit_are_refused_as_overloaded(limited: GatewayProcess) -> None:
    with connected(limited.address) as a, connected(limited.address) as b, connected(limited.address) as c:
        for connection in (a, b, c):
            connection.sendall(head(VERIFY, "Content-Type: application/json", "Content-Length: 9") + b"{")
            time.sleep(0.1)
        answer = http.post(limited.address, "/v1/verify", {})
        assert (answer.status, answer.reason) == (429, "OVERLOADED")
        assert answer.headers["retry-after"] == "1"


def test_bytes_beyond_the_limit_are_refused_as_overloaded(limited: GatewayProcess) -> None:
    with connected(limited.address) as first:
        length = f"Content-Length: {MAX_BYTES}"
        first.sendall(head("/v1/verify", "Content-Type: application/json", length) + b" " * (MAX_BYTES - 1))
        time.sleep(0.2)
        answer = http.send(limited.address, "POST", VERIFY, b" " * 900_000, http.JSON)
        assert (answer.status, answer.reason) == (429, "OVERLOADED")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=b"),
        (b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx", "multipart/form-data; boundary=b"),
        (b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"A: b\r\n" * 1000 + b"\r\n\r\n--b--\r\n", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data; boundary=" + "b" * 1000),
        (b"x", "text/plain"),
        (b"x", ""),
    ],
)
def test_a_malformed_form_is_refused(limited: GatewayProcess, body: bytes, kind: str) -> None:
    answer = http.send(limited.address, "POST", "/v1/verify", body, {"content-type": kind} if kind else {})
    assert (answer.status, answer.reason) == (400, "OPTION_INVALID"), answer


def test_a_form_of_too_many_parts_or_a_large_field_is_refused(limited: GatewayProcess) -> None:
    answer = http.post_form(limited.address, "/v1/verify", [("person_id", "a")] * 257)
    assert (answer.status, answer.json["message"]) == (400, "the form has more than 256 parts")
    answer = http.post_form(limited.address, "/v1/verify", [("person_id", "a" * 70_000)])
    assert (answer.status, answer.field) == (400, "person_id")


def test_json_of_too_many_values_is_refused(limited: GatewayProcess) -> None:
    body = b'{"probe":{"encoding":{"values":[' + b"1," * 110_000 + b"1]}}}"
    for path in ("/v1/verify", VERIFY):
        answer = http.send(limited.address, "POST", path, body, http.JSON)
        assert (answer.status, answer.reason) == (400, "OPTION_INVALID")
        assert "more than 100,000 values" in answer.json["message"]


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "//v1/verify", 404),
        ("POST", "/v1/../v1/verify", 404),
        ("POST", "/v1/%2e%2e/v1/verify", 404),
        ("POST", "/v1/verify/", 404),
        ("POST", "/v1/VERIFY", 404),
        ("POST", "/v1/persons", 405),
        ("PUT", "/v1/persons/ann", 405),
        ("GET", "/v1/verify", 405),
        ("GET", VERIFY, 405),
        ("GET", "/v1/persons/a/b", 404),
        ("POST", "/facerec.matcher.v1.MatcherService/Nothing", 404),
        ("POST", "/facerec.matcher.v1.MatcherService%2FVerify/..", 404),
        ("GET", "/v1/persons/%2e%2e", 504),  # an id like any other, for the matcher to judge
        ("GET", "/v1/persons/a%2Fb", 504),
    ],
)
def test_only_the_paths_of_the_contract_lead_anywhere(
    limited: GatewayProcess, verb: str, path: str, status: int
) -> None:
    answer = http.send(limited.address, verb, path)
    assert answer.status == status or (status, answer.status) == (504, 503), answer
    if status == 405:
        assert answer.headers["allow"]


def test_a_method_of_another_service_is_named(limited: GatewayProcess) -> None:
    answer = http.post(limited.address, "/facerec.matcher.v1.MatcherService/ListDuplicates", {})
    found = "/facerec.matcher.v1.CollectionService/ListDuplicates"
    assert (answer.status, answer.json["message"]) == (404, f"there is no such path; {found} is one")


def test_what_no_service_answers_is_unavailable(patient: GatewayProcess) -> None:
    address = patient.address
    for answer in (http.post(address, VERIFY, {}), http.post(address, "/v1/verify", {})):
        assert (answer.status, answer.json["code"], answer.reason) == (503, "unavailable", "UNREACHABLE")
        assert answer.json["message"] == "no MatcherService is ready; retry later"
        assert answer.headers["retry-after"] == "1"
    ready = http.send(address, "GET", "/ready")
    assert (ready.status, ready.json["ready"]) == (503, False)
    assert http.send(address, "GET", "/health").status == 200


def test_grpc_itself_and_compressed_requests_are_refused(limited: GatewayProcess) -> None:
    answer = http.send(limited.address, "POST", VERIFY, b"", {"content-type": "application/grpc+proto"})
    assert answer.status == 415
    headers = {**http.JSON, "content-encoding": "gzip"}
    assert http.send(limited.address, "POST", VERIFY, b"x", headers).json["code"] == "unimplemented"


@pytest.mark.parametrize("headers", [["X-Large: " + "a" * 40_000], [f"X-{n}: a" for n in range(8000)]])
def test_large_headers_are_refused(limited: GatewayProcess, headers: list[str]) -> None:
    with connected(limited.address) as connection:
        # The connection is closed with a part of the head unread, and a reset may overtake the answer.
        with suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(head(VERIFY, *headers))
        answer = read_all(connection)
    assert not answer or int(answer.split()[1]) in (400, 431)


def test_pages_of_other_origins_are_refused_and_those_of_allowed_ones_may_read(
    limited: GatewayProcess,
) -> None:
    foreign = {"origin": "https://evil.example"}
    for path in ("/v1/verify", VERIFY, "/health"):
        assert http.send(limited.address, "POST", path, b"{}", {**http.JSON, **foreign}).status == 403
    preflight = {**foreign, "access-control-request-method": "POST"}
    assert http.send(limited.address, "OPTIONS", "/v1/verify", None, preflight).status == 403
    allowed = {"origin": "https://door.example"}
    answer = http.send(limited.address, "OPTIONS", "/v1/verify", None, {**preflight, **allowed})
    assert answer.status == 204
    assert {"authorization", "x-api-key"} <= set(answer.headers["access-control-allow-headers"].split(", "))
    answer = http.send(limited.address, "POST", "/v1/verify", b"{", {**http.JSON, **allowed})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (400, "https://door.example")
    own = {"origin": f"http://{limited.address}"}
    assert http.send(limited.address, "GET", "/health", None, own).status == 200
    assert "access-control-allow-origin" not in http.send(limited.address, "GET", "/health").headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "0.0.0.0"])
def test_a_page_whose_host_was_made_to_lead_here_is_refused(limited: GatewayProcess, host: str) -> None:
    headers = {"host": host, "origin": f"http://{host}"}
    assert http.send(limited.address, "GET", "/health", None, headers).status == 403
    for known in ("console.example:8000", "faces.example"):
        assert http.send(limited.address, "GET", "/health", None, {"host": known}).status == 200


def test_a_request_id_is_passed_on_or_made_and_logs_have_neither_key_nor_query(
    limited: GatewayProcess,
) -> None:
    headers = {**http.JSON, "x-request-id": "door-7", "authorization": "Bearer secret-key"}
    assert http.send(limited.address, "POST", "/v1/verify", b"{", headers).headers["x-request-id"] == "door-7"
    assert http.send(limited.address, "GET", "/v1/persons?page_size=very-private").status == 400
    made = http.send(limited.address, "GET", "/health", None, {"x-request-id": "not valid!"})
    assert len(made.headers["x-request-id"]) == 16
    limited.event("call")
    lines = [json.loads(line) for line in limited.lines]
    assert not any("secret-key" in line or "very-private" in line for line in limited.lines)
    [call] = [line for line in lines if line.get("request_id") == "door-7"] or [None]
    if call:
        assert (call["method"], call["code"]) == ("Verify", "INVALID_ARGUMENT")


def test_a_connection_without_a_request_is_closed(patient: GatewayProcess) -> None:
    with connected(patient.address) as silent, connected(patient.address) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: local")
        assert read_all(silent) == b""
        assert read_all(slow) == b""
