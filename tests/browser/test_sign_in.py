"""Signing in with a key: what each role sees, and what a session leaves."""

from typing import Any

from tests.browser.conftest import OpenConsole
from tests.browser.console import Console


def sign_in(console: Console, key: str) -> None:
    """Sign in with a key."""
    console.page.get_by_label("API key").fill(key)
    console.button("Sign in").click()


def pages(page: Any) -> list[str]:
    """The pages that the navigation shows."""
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    links.first.wait_for()
    return list(links.all_inner_texts())


def test_a_wrong_key_is_refused_in_words(open_console: OpenConsole, locked_address: str) -> None:
    console = open_console(address=locked_address)
    sign_in(console, "fr_nobody")
    console.has("The key is not valid")


def test_a_role_sees_the_pages_that_it_may_use(open_console: OpenConsole, locked_address: str) -> None:
    door = open_console(address=locked_address)
    sign_in(door, "fr_door")
    assert pages(door.page) == ["Try"]
    assert door.page.get_by_role("tab").all_inner_texts() == ["Verify a claim", "Compare"]
    clerk = open_console(address=locked_address)
    sign_in(clerk, "fr_clerk")
    assert pages(clerk.page) == ["Try", "People", "Review", "Thresholds", "Health"]
    clerk.go("Health")
    clerk.has("Searched")
    assert clerk.main.get_by_role("heading", level=2).all_inner_texts() == ["Encoder", "Search"]


def test_a_page_that_a_role_may_not_use_is_refused_in_words(
    open_console: OpenConsole, locked_address: str
) -> None:
    console = open_console("people", address=locked_address)
    sign_in(console, "fr_door")
    console.has("Your key may not use this page, which requires manage. It has verify, without scores.")


def test_without_scores_nothing_is_offered_that_would_be_refused(
    open_console: OpenConsole, locked_address: str
) -> None:
    console = open_console(address=locked_address)
    sign_in(console, "fr_desk")
    assert pages(console.page) == ["People", "Thresholds", "Health"]
    console.go("Thresholds")
    console.has("it may not measure error rates")
    console.has("Verify and Compare")
    assert console.main.get_by_role("button").count() == console.main.get_by_role("textbox").count() == 0
    console.open("review/inconsistent")
    console.has("which requires manage with scores. It has manage, without scores.")
    console.go("Health")
    console.has("Searched")


def test_the_key_stays_out_of_what_scripts_can_read(open_console: OpenConsole, locked_address: str) -> None:
    console = open_console(address=locked_address)
    sign_in(console, "fr_admin")
    pages(console.page)
    assert "facerec" not in console.page.evaluate("document.cookie")
    held = console.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href])")
    assert "fr_admin" not in held
    console.page.reload()
    assert "Health" in pages(console.page)


def test_a_session_outlives_the_browser_only_if_it_is_to_be_remembered(
    open_console: OpenConsole, locked_address: str
) -> None:
    for is_remembered in (False, True):
        console = open_console(address=locked_address)
        console.page.get_by_label("Remember me until the session ends").set_checked(is_remembered)
        sign_in(console, "fr_admin")
        pages(console.page)
        (cookie,) = console.page.context.cookies()
        assert (cookie["expires"] > 0) is is_remembered


def test_signing_out_ends_the_session(open_console: OpenConsole, locked_address: str) -> None:
    console = open_console(address=locked_address)
    sign_in(console, "fr_admin")
    console.page.get_by_role("button", name="Sign out").click()
    console.page.get_by_label("API key").wait_for()
    console.page.reload()
    console.page.get_by_label("API key").wait_for()


def test_a_session_that_ended_asks_for_the_key_again(open_console: OpenConsole, locked_address: str) -> None:
    console = open_console(address=locked_address)
    sign_in(console, "fr_admin")
    pages(console.page)
    console.page.context.clear_cookies()
    console.go("People")
    console.has("The session has ended")
    sign_in(console, "fr_admin")
    console.has("Nobody is found.")
