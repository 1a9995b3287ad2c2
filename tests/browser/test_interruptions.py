"""A slow network, and a matcher that restarts: the page says so, and goes on."""

import signal
from pathlib import Path

import pytest

from tests.browser.conftest import OpenConsole, Restarted
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.matcher import NOWHERE, MatcherProcess

SLOW = {"offline": False, "latency": 400, "downloadThroughput": 40_000, "uploadThroughput": 40_000}


def test_a_page_waits_for_a_matcher_that_restarts(open_console: OpenConsole, restarted: Restarted) -> None:
    console = open_console("people", address=restarted.gateway.address)
    console.has("Nobody is found.")
    assert restarted.matcher.stop() == 0
    console.page.get_by_label("Name or id").fill("ann")
    notice = console.page.get_by_role("alert").get_by_text("Trying again")
    notice.wait_for()
    restarted.start()
    notice.wait_for(state="hidden")
    console.has("Nobody is found.")


def test_a_page_says_that_a_matcher_does_not_answer(open_console: OpenConsole, restarted: Restarted) -> None:
    console = open_console("people", address=restarted.gateway.address)
    console.has("Nobody is found.")
    restarted.matcher.process.send_signal(signal.SIGSTOP)
    try:
        console.page.reload()
        console.has("Reading …")
        notice = console.page.get_by_role("alert").get_by_text("The service is slow")
        notice.wait_for()
    finally:
        restarted.matcher.process.send_signal(signal.SIGCONT)
    notice.wait_for(state="hidden")
    console.has("Nobody is found.")


def test_a_page_without_photos_waits_for_no_encoder(open_console: OpenConsole, restarted: Restarted) -> None:
    gateway = GatewayProcess(NOWHERE, restarted.address)
    try:
        console = open_console("people", address=gateway.address)
        console.page.get_by_label("Name or id").wait_for()
        assert restarted.matcher.stop() == 0
        console.page.get_by_label("Name or id").fill("ann")
        notice = console.page.get_by_role("alert").get_by_text("Trying again")
        notice.wait_for()
        restarted.start()
        notice.wait_for(state="hidden")
        console.has("Nobody is found.")
    finally:
        gateway.stop()


def test_a_change_is_not_sent_twice(
    open_console: OpenConsole, restarted: Restarted, sample_photos: Path
) -> None:
    from tests.e2e.gateway.http import post_form

    photo = ("image", (sample_photos / "biden.jpg").read_bytes())
    assert post_form(restarted.gateway.address, "/v1/enroll", [photo, ("person_id", "biden")]).status == 200
    console = open_console("people/person/biden", address=restarted.gateway.address)
    console.button("Suspend").click()
    assert restarted.matcher.stop() == 0
    console.dialog().get_by_role("button", name="Suspend").click()
    console.dialog().get_by_text("It is not known whether the change was made").wait_for()
    console.dialog().get_by_role("button", name="Cancel").click()
    restarted.start()
    console.page.get_by_role("alert").get_by_text("Trying again").wait_for(state="hidden")
    console.button("Suspend").wait_for()


def test_health_says_why_no_matcher_is_ready(open_console: OpenConsole, encoder_address: str) -> None:
    matcher = MatcherProcess(f"postgresql://facerec@{NOWHERE}/facerec")
    gateway = GatewayProcess(encoder_address, matcher.address)
    try:
        matcher.event("database_check_failed")
        console = open_console(address=gateway.address)
        console.page.get_by_role("alert").get_by_text("Trying again").wait_for()
        console.go("Health")
        database = console.main.get_by_role("term").filter(has_text="Database")
        assert database.locator("+ dd strong.bad").inner_text() not in ("", "not ready")
        assert console.main.get_by_text("serving", exact=True).count() == 1  # the encoder
    finally:
        gateway.stop()
        matcher.stop()


@pytest.mark.timeout(120)
def test_a_page_opens_over_a_slow_network(open_console: OpenConsole, sample_photos: Path) -> None:
    console = open_console()
    network = console.page.context.new_cdp_session(console.page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", SLOW)
    console.page.reload()
    console.page.get_by_role("heading", name="Try").wait_for(timeout=60_000)
    console.page.locator("input[type=file]").first.set_input_files(sample_photos / "obama_partial_face.jpg")
    console.has("Searching")
    console.main.get_by_text("unknown").first.wait_for(timeout=60_000)
