"""Sessions of the console: a browser uses a key that no script sees, and only the console's pages use it."""

import dataclasses
import datetime
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from facerec.gateway.console.session import fernet
from tests.e2e.access.conftest import Authority, entry
from tests.e2e.gateway.browser import SESSION, Browser, trusting
from tests.fixtures.gateway import GatewayProcess, StartGateway
from tests.fixtures.matcher import NOWHERE, MatcherProcess
from tests.fixtures.waiting import wait_until

SECRETS = ("the first secret of the gateways", "another secret, which comes after")
ANSWERED, MISSING, UNKNOWN = (404, "PERSON_NOT_FOUND"), (401, "KEY_MISSING"), (401, "KEY_UNKNOWN")
PROXY = "https://console.example"
KEYS = f"{entry('admin', 'fr_admin', ['admin'])}\n{entry('door', 'fr_door', ['verify'])}"
LIST_PERSONS = "/facerec.matcher.v1.MatcherService/ListPersons"


@dataclasses.dataclass(frozen=True)
class Locked:
    """A matcher that requires keys, with its keys file, and two gateways that share a file of secrets."""

    matcher: str
    keys: Path
    secrets: Path
    gateways: tuple[GatewayProcess, GatewayProcess]

    def browser(self, gateway: int = 0) -> Browser:
        return Browser(self.gateways[gateway].address)


@pytest.fixture(scope="module")
def locked(
    make_database: Callable[[str], str], template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("locked")
    keys, secrets = folder / "keys.toml", folder / "secrets"
    keys.write_text(KEYS)
    secrets.write_text(SECRETS[0])
    with ExitStack() as stack:
        matcher = MatcherProcess(make_database(template_database), "--keys-file", str(keys))
        stack.callback(matcher.stop)
        matcher.event("database_ready")
        flags = ("--session-secret-file", str(secrets), "--log-calls", "all", "--allowed-origins", PROXY)
        gateways = tuple(GatewayProcess(NOWHERE, matcher.address, *flags) for _ in range(2))
        for gateway in gateways:
            stack.callback(gateway.stop)
            gateway.event("listening")
        yield Locked(matcher.address, keys, secrets, gateways)  # type: ignore[arg-type]


def test_a_session_calls_with_the_key_that_it_was_begun_with(locked: Locked) -> None:
    browser = locked.browser()
    signed_out = {"keys_required": True, "signed_in": False, "expires": None, "csrf_token": None}
    assert browser.state() == signed_out
    answer = browser.sign_in("fr_admin")
    assert (answer.status, answer.json["keys_required"], answer.json["signed_in"]) == (200, True, True)
    assert browser.state() == answer.json
    left = datetime.datetime.fromisoformat(answer.json["expires"]) - datetime.datetime.now(datetime.UTC)
    assert 7.9 * 3600 < left.total_seconds() <= 8 * 3600
    assert browser.get_person() == ANSWERED
    assert browser.send("POST", LIST_PERSONS, {}).json["persons"] == []
    assert browser.send("DELETE", SESSION).status == 204
    assert browser.cookie == ""
    assert (browser.state(), browser.get_person()) == (signed_out, MISSING)


def test_a_key_has_its_own_permissions_and_an_unknown_one_no_session(locked: Locked) -> None:
    browser = locked.browser()
    refused = browser.sign_in("fr_unknown")
    assert (refused.status, refused.reason, browser.cookie) == (401, "KEY_UNKNOWN", "")
    assert browser.sign_in("fr_door").json["signed_in"]
    assert browser.get_person() == (403, "NOT_PERMITTED")


def test_a_call_takes_the_session_s_token_and_the_gateway_s_own_page(locked: Locked) -> None:
    browser = locked.browser()
    browser.sign_in("fr_admin")
    own = f"http://{browser.address}"
    assert browser.get_person({"sec-fetch-site": None}) == ANSWERED
    assert browser.get_person({"sec-fetch-site": None, "origin": own}) == ANSWERED
    for more in (
        {"x-csrf-token": None},
        {"x-csrf-token": "0" * 32},
        {"x-csrf-token": browser.token[:-1]},
        {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": None, "origin": PROXY},
    ):
        assert browser.get_person(more) == MISSING, more
        assert browser.send("POST", LIST_PERSONS, {}, more).status == 401, more
    for site in ("cross-site", "same-site"):
        for verb, path in (("GET", "/v1/persons/nobody"), ("POST", LIST_PERSONS), ("GET", SESSION)):
            assert browser.send(verb, path, more={"sec-fetch-site": site}).status == 403, (site, path)
    other = locked.browser()
    other.sign_in("fr_door")
    assert browser.get_person({"x-csrf-token": other.token}) == MISSING
    assert browser.get_person({"authorization": "Bearer fr_unknown"}) == UNKNOWN
    foreign = browser.send("GET", SESSION, more={"origin": "https://foreign.example", "sec-fetch-site": None})
    assert foreign.status == 403


@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("more", [{"sec-fetch-site": "none"}, {"sec-fetch-site": None, "origin": PROXY}])
def test_only_the_gateway_s_own_pages_sign_in_or_out(locked: Locked, verb: str, more: Any) -> None:
    browser = locked.browser()
    answer = browser.send(verb, SESSION, {"key": "fr_admin"}, {**more})
    assert (answer.status, answer.reason, browser.cookie) == (403, "NOT_PERMITTED", "")


def test_a_page_behind_a_proxy_with_tls_gets_a_secure_cookie(locked: Locked) -> None:
    browser = locked.browser()
    answer = browser.send("POST", SESSION, {"key": "fr_admin"}, {"origin": PROXY})
    browser.token = answer.json["csrf_token"]
    assert answer.headers["set-cookie"].startswith("__Host-facerec=")
    assert "; Secure" in answer.headers["set-cookie"]
    assert browser.get_person() == ANSWERED


def test_a_cookie_that_was_changed_or_has_expired_is_no_session(locked: Locked) -> None:
    browser = locked.browser()
    browser.sign_in("fr_admin")
    name, _, sealed = browser.cookie.partition("=")
    changed = sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:]
    payload = f"{browser.token}fr_admin".encode()
    hours_ago = int(time.time()) - 8 * 3600 - 60
    expired = fernet(SECRETS[0].encode()).encrypt_at_time(payload, hours_ago).decode()
    foreign = fernet(b"a secret of another installation").encrypt(payload).decode()
    for cookie in (
        f"{name}={changed}",
        f"{name}={expired}",
        f"{name}={foreign}",
        f"{name}={sealed}; {name}={sealed}",
        f'{name}="{sealed}"',
        f"{name}={sealed} x",
        f"{name}=",
        f"other={sealed}",
    ):
        assert browser.get_person({"cookie": cookie}) == MISSING, cookie
        assert not browser.send("GET", SESSION, more={"cookie": cookie}).json["signed_in"]
    assert browser.get_person({"cookie": f"other=1; {name}={sealed};x"}) == ANSWERED


def test_a_cookie_of_another_program_in_any_encoding_leaves_the_session(locked: Locked) -> None:
    browser = locked.browser()
    browser.sign_in("fr_admin")
    session = browser.cookie
    for other in ("name=李".encode(), "name=José".encode("latin-1"), b"\xff\xfe", b"facerec\xc3\xa9=x"):
        text = other.decode("latin-1")
        for cookie in (f"{text}; {session}", f"{session};{text}"):
            assert browser.get_person({"cookie": cookie}) == ANSWERED, other
            assert browser.send("GET", SESSION, more={"cookie": cookie}).json["signed_in"]
    assert browser.get_person({"cookie": f"facerec=José; {session}"}) == MISSING


def test_a_key_that_is_revoked_ends_its_sessions(locked: Locked) -> None:
    browser = locked.browser()
    locked.keys.write_text(f"{KEYS}\n{entry('guest', 'fr_guest', ['manage'])}")
    wait_until(lambda: browser.get_person({"authorization": "Bearer fr_guest"}) == ANSWERED)
    browser.sign_in("fr_guest")
    assert browser.get_person() == ANSWERED
    locked.keys.write_text(KEYS)
    wait_until(lambda: browser.get_person() == UNKNOWN)
    assert not browser.state()["signed_in"]


def test_gateways_with_one_secret_share_sessions_and_others_do_not(
    locked: Locked, start_gateway: StartGateway
) -> None:
    browser, other = locked.browser(0), locked.browser(1)
    browser.sign_in("fr_admin")
    other.cookie, other.token = browser.cookie, browser.token
    assert other.get_person() == ANSWERED
    alone = Browser(start_gateway(NOWHERE, locked.matcher).address)
    alone.cookie, alone.token = browser.cookie, browser.token
    assert alone.get_person() == MISSING
    alone.sign_in("fr_admin")
    assert alone.get_person() == ANSWERED


def test_a_new_secret_seals_at_once_and_an_old_one_opens_until_it_is_removed(locked: Locked) -> None:
    old = locked.browser()
    old.sign_in("fr_admin")
    locked.secrets.write_text(f"{SECRETS[1]}\n\n{SECRETS[0]}\n")
    locked.gateways[0].event("session_secret_reloaded")
    assert old.get_person() == ANSWERED
    new = locked.browser()
    new.sign_in("fr_admin")
    locked.secrets.write_text(f"{SECRETS[1]}\n")
    wait_until(lambda: old.get_person() == MISSING)
    assert new.get_person() == ANSWERED
    locked.secrets.write_text(f"{SECRETS[0]}\n")
    wait_until(lambda: new.get_person() == MISSING)


def test_over_tls_the_cookie_is_bound_to_the_host_and_no_other_counts(
    locked: Locked, start_gateway: StartGateway, tmp_path: Path
) -> None:
    authority = Authority(trustme.CA(), tmp_path)
    cert, key = authority.issue("server", "localhost")
    tls = ("--tls-cert-file", str(cert), "--tls-key-file", str(key))
    address = start_gateway(NOWHERE, locked.matcher, *tls).address.replace("127.0.0.1", "localhost")
    browser = Browser(address, context=trusting(authority))
    flags = browser.sign_in("fr_admin").headers["set-cookie"].split("; ")
    assert flags[0].startswith("__Host-facerec=")
    assert flags[1:] == ["Path=/", "HttpOnly", "SameSite=Strict", "Secure"]
    assert browser.get_person() == ANSWERED
    assert browser.get_person({"cookie": browser.cookie.removeprefix("__Host-")}) == MISSING
    assert browser.send("DELETE", SESSION).headers["set-cookie"].endswith("; Secure; Max-Age=0")
    plain = locked.browser()
    assert plain.sign_in("fr_admin").headers["set-cookie"].split("; ")[1:] == flags[1:4]
    remembered = plain.sign_in("fr_admin", remember=True).headers["set-cookie"]
    assert remembered.endswith("; Max-Age=28800")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "key"),
        ({"key": ""}, "key"),
        ({"key": 7}, "key"),
        ({"key": "two words"}, "key"),
        ({"key": "line\r\nbreak"}, "key"),
        ({"key": "x" * 513}, "key"),
        ({"key": "fr_admin", "remember": "yes"}, "remember"),
        ({"key": "fr_admin", "name": "ann"}, "name"),
    ],
)
def test_what_is_wrong_with_a_request_to_sign_in_is_named(locked: Locked, body: Any, field: str) -> None:
    answer = locked.browser(1).send("POST", SESSION, body)
    assert (answer.status, answer.reason, answer.field) == (400, "OPTION_INVALID", field)


def test_wrong_keys_keep_nobody_from_signing_in(locked: Locked) -> None:
    browser = locked.browser(1)
    assert {browser.sign_in("fr_unknown").status for _ in range(30)} == {401}
    assert browser.sign_in("fr_admin").status == 200


def test_no_line_of_the_log_has_a_key_or_a_cookie(locked: Locked) -> None:
    browser = locked.browser()
    browser.sign_in("fr_admin")
    sealed, token = browser.cookie.partition("=")[2], browser.token
    assert "fr_admin" not in browser.cookie
    browser.get_person()
    browser.sign_in("fr_unknown")
    for secret in ("fr_admin", "fr_unknown", sealed, token, SECRETS[0]):
        assert not [line for line in locked.gateways[0].lines if secret in line]
