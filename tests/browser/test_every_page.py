"""Every page, in both widths and schemes: without an error, and usable with assistive technology."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import OpenConsole

PAGES = {
    "try": "Try", "people": "People", "people/person/obama": "Barack", "review": "Review",
    "thresholds": "Thresholds", "health": "Health",
}  # fmt: skip


@pytest.fixture
def enrolled(enroll: Callable[..., None]) -> None:
    """Two people, one of them under two ids."""
    enroll("obama", "obama.jpg", display_name="Barack", **{"labels.site": "berlin"})
    enroll("barack", "obama2.jpg")
    enroll("biden", "biden.jpg")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("look", [("wide", "light"), ("narrow", "dark")], ids="-".join)
def test_a_page_has_no_finding_of_axe(
    path: str, look: tuple[str, str], enrolled: None, open_console: OpenConsole, sample_photos: Path
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    width, scheme = look
    console = open_console(path, width=width, scheme=scheme)
    console.page.get_by_role("heading", level=1).wait_for()
    if path == "try":
        console.page.locator("input[type=file]").first.set_input_files(sample_photos / "obama3.jpg")
        console.has("Good for comparison")
    console.page.wait_for_load_state("networkidle")
    console.page.get_by_text("This page as code").click()
    found: Any = Axe().run(console.page).response["violations"]
    assert [(each["id"], each["impact"], [node["html"] for node in each["nodes"]]) for each in found] == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if folder := os.environ.get("SCREENSHOTS"):
        console.page.screenshot(path=Path(folder) / f"{path.replace('/', '-')}-{width}.png", full_page=True)


def test_the_browser_lets_no_text_become_html(open_console: OpenConsole) -> None:
    console = open_console()
    write = "() => { try { document.body.innerHTML = '<p>'; } catch (error) { return error.name; } }"
    assert console.page.evaluate(write) == "TypeError"
    make = "() => { try { trustedTypes.createPolicy('p', {}); } catch (error) { return error.name; } }"
    assert console.page.evaluate(make) == "TypeError"
    console.page.get_by_role("heading", level=1).wait_for()
    assert all("Trusted" in text for text in console.errors)
    console.errors.clear()
