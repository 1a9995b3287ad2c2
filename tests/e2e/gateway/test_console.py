"""The console's files: their headers, where they are served, and that no other path leads to one."""

import socket
from pathlib import Path

import pytest
import trustme

from facerec.gateway import console
from facerec.gateway.commands import main
from tests.e2e.access.conftest import Authority
from tests.e2e.gateway import http
from tests.e2e.gateway.browser import trusting
from tests.fixtures.gateway import StartGateway
from tests.fixtures.matcher import NOWHERE

STATIC = Path(console.__file__).parent / "static"
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@pytest.mark.parametrize(
    ("verb", "path", "status"),
    [
        ("GET", "/console/", 200),
        ("HEAD", "/console/main.js", 200),
        ("GET", "/console/session", 200),
        ("DELETE", "/console/session", 204),
        ("GET", "/console", 302),
        ("POST", "/console/session", 400),
        ("GET", "/console/nothing.js", 404),
        ("POST", "/console/", 405),
        ("PUT", "/console/session", 405),
    ],
)
def test_every_answer_has_the_console_s_policy(gateway: str, verb: str, path: str, status: int) -> None:
    answer = http.send(gateway, verb, path)
    assert answer.status == status
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["permissions-policy"].startswith("camera=(self), ")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    is_file = status == 200 and path != "/console/session"
    assert answer.headers["cache-control"] == ("no-cache" if is_file else "no-store")


def test_every_file_is_served_with_its_type(gateway: str) -> None:
    types = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    for path in files:
        answer = http.send(gateway, "GET", f"/console/{path.relative_to(STATIC)}")
        assert answer.body == path.read_bytes()
        assert answer.headers["content-type"].partition(";")[0] == types[path.suffix]
    assert http.send(gateway, "GET", "/console/").body == (STATIC / "index.html").read_bytes()


def test_a_browser_asks_each_time_and_reads_a_file_once(gateway: str) -> None:
    etag = http.send(gateway, "GET", "/console/main.js").headers["etag"]
    for sent in (etag, f'"other", W/{etag}', "*"):
        again = http.send(gateway, "GET", "/console/main.js", headers={"if-none-match": sent})
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
    assert http.send(gateway, "GET", "/console/main.js", headers={"if-none-match": '"other"'}).status == 200


def test_a_browser_that_asks_for_the_address_alone_is_sent_to_the_console(gateway: str) -> None:
    answer = http.send(gateway, "GET", "/", headers=BROWSER)
    assert (answer.status, answer.headers["location"]) == (302, "/console/")
    assert http.send(gateway, "GET", "/").status == 404
    assert http.send(gateway, "POST", "/", headers=BROWSER).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/console/../app.py",
        "/console/%2e%2e/app.py",
        "/console/static/../../site.py",
        "/console/..%2fsite.py",
        "/console/..\\site.py",
        "/console/%2e%2e%5csite.py",
        "/console//main.js",
        "//console/main.js",
        "/console/./main.js",
        "/console/main.js/",
        "/console/main%2ejs",
        "/%63onsole/main.js",
        "/console/pages",
        "/console/main.js%00.html",
        "/console/main.js\0.html",
        "/console//etc/passwd",
        "/console/%2fetc%2fpasswd",
        "http://127.0.0.1/console/main.js",
    ],
)
def test_no_other_path_leads_to_a_file(gateway: str, path: str) -> None:
    host, port = gateway.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {gateway}\r\nConnection: close\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            status = answer.readline()
            assert status.split()[1] in {b"400", b"404"}
            assert b"import" not in answer.read()


def test_beyond_loopback_the_console_takes_tls_or_an_explicit_setting(start_gateway: StartGateway) -> None:
    everywhere = ("--address", "0.0.0.0:0", "--insecure")
    plain = start_gateway(NOWHERE, NOWHERE, *everywhere)
    assert plain.event("listening")["console"] is None
    assert "set tls_cert_file" in plain.event("console_not_served")["why"]
    explicit = start_gateway(NOWHERE, NOWHERE, *everywhere, "--console", "on")
    for process, status in ((plain, 404), (explicit, 200)):
        address = process.address.replace("0.0.0.0", "127.0.0.1")
        assert http.send(address, "GET", "/console/").status == status
        if status == 404:
            assert http.send(address, "GET", "/", headers=BROWSER).status == 404
    off = start_gateway(NOWHERE, NOWHERE, "--console", "off")
    assert http.send(off.address, "GET", "/console/").status == 404


def test_beyond_loopback_the_console_is_for_services_that_require_keys(
    matcher_address: str, start_gateway: StartGateway, tmp_path: Path
) -> None:
    authority = Authority(trustme.CA(), tmp_path)
    cert, key = authority.issue("server", "localhost")
    tls = ("--tls-cert-file", str(cert), "--tls-key-file", str(key))
    for more, status in (((), 403), (("--console", "on"), 200)):
        process = start_gateway(NOWHERE, matcher_address, "--address", "0.0.0.0:0", *tls, *more)
        address = f"localhost:{process.address.rpartition(':')[2]}"
        answer = http.send(address, "GET", "/console/session", context=trusting(authority))
        assert answer.status == status
        assert status == 200 or (answer.reason == "NOT_PERMITTED" and "keys file" in answer.json["message"])


@pytest.mark.parametrize("secret", [None, "", "too short\n", f"{'long' * 8}\nshort\n"])
def test_a_file_of_secrets_that_is_missing_or_too_short_is_refused(
    secret: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "secrets"
    if secret is not None:
        path.write_text(secret)
    assert main(["check-config", "--session-secret-file", str(path)]) == 2
    problem = capsys.readouterr().err
    assert "session_secret_file" in problem
    assert "short" not in problem
