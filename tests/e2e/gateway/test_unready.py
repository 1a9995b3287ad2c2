"""What a gateway answers while the matcher's database is away, and the encoder too."""

from collections.abc import Iterator

import pytest

from facerec.gateway.services import SERVICES
from tests.e2e.access.conftest import entry
from tests.e2e.gateway import http
from tests.e2e.gateway.browser import Browser
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.matcher import NOWHERE, MatcherProcess

AWAY = f"postgresql://facerec@{NOWHERE}/facerec"
COLLECTIONS = "/facerec.matcher.v1.CollectionService"
KEY = {"authorization": "Bearer fr_admin"}


@pytest.fixture(scope="module")
def unready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway before a locked matcher that has found its database away, and before no encoder."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    keys.write_text(entry("admin", "fr_admin", ["admin"]))
    matcher = MatcherProcess(AWAY, "--keys-file", str(keys))
    gateway = GatewayProcess(NOWHERE, matcher.address, "--admin-address", "127.0.0.1:0")
    try:
        matcher.event("database_check_failed")
        gateway.event("listening")
        yield gateway
    finally:
        gateway.stop()
        matcher.stop()


def test_the_state_of_a_matcher_says_why_it_is_not_ready(unready: GatewayProcess) -> None:
    status = http.post(unready.address, f"{COLLECTIONS}/GetStatus", {}, KEY)
    assert (status.status, status.json["serving"], status.json["database"]["ready"]) == (200, False, False)
    assert status.json["database"]["problem"]
    short = http.send(unready.address, "GET", "/v1/status", headers=KEY)
    assert (short.status, short.json["database"]["ready"]) == (200, False)
    refused = http.send(unready.address, "GET", "/v1/persons/ann", headers=KEY)
    assert (refused.status, refused.reason) == (503, "UNREACHABLE")


def test_a_person_signs_in_to_the_console_of_a_matcher_that_is_not_ready(unready: GatewayProcess) -> None:
    browser = Browser(unready.address)
    assert browser.sign_in("fr_admin").json["signed_in"]
    assert browser.send("GET", "/v1/status").json["database"]["ready"] is False
    assert browser.sign_in("fr_unknown").reason == "KEY_UNKNOWN"


def test_a_gateway_is_unready_while_no_service_at_all_is_serving(unready: GatewayProcess) -> None:
    admin = unready.event("listening")["admin"]
    answer = http.send(admin, "GET", "/readyz")
    assert (answer.status, answer.body.decode()) == (503, f"not ready: {', '.join(SERVICES)}\n")
    public = http.send(unready.address, "GET", "/ready")
    assert (public.status, public.json["services"]) == (503, dict.fromkeys(SERVICES, False))
