"""The whole walk by keyboard alone."""

from collections.abc import Callable
from pathlib import Path

from tests.browser.conftest import OpenConsole
from tests.browser.console import Console

MAX_STOPS = 60


def tab_to(console: Console, name: str) -> None:
    """Press Tab until what has the focus has a name; fails if nothing with it can be reached."""
    for _ in range(MAX_STOPS):
        console.page.keyboard.press("Tab")
        if name in focused(console):
            return
    raise AssertionError(f"{name} cannot be reached by Tab; the focus is at {focused(console)}")


FOCUSED = """(() => {
    const element = document.activeElement;
    const text = element.matches('a, button, summary') ? element.innerText : '';
    const label = element.labels?.[0]?.innerText;
    return [element.getAttribute('aria-label'), label, text].filter(Boolean).join(' ');
})()"""


def focused(console: Console) -> str:
    """The name of what has the focus: its label or text."""
    return str(console.page.evaluate(FOCUSED))


def test_a_person_is_found_renamed_and_erased_by_keyboard(
    enroll: Callable[..., None], open_console: OpenConsole
) -> None:
    enroll("biden", "biden.jpg", display_name="Joe")
    console = open_console("try")
    console.page.get_by_role("heading", level=1).wait_for()
    keyboard = console.page.keyboard
    console.page.evaluate("document.activeElement.blur()")
    tab_to(console, "People")
    keyboard.press("Enter")
    console.has("Joe")
    tab_to(console, "Joe")
    keyboard.press("Enter")
    console.button("Change name").wait_for()
    tab_to(console, "Change name")
    keyboard.press("Enter")
    console.dialog().wait_for()
    assert "Name to show" in focused(console)
    keyboard.press("Control+A")
    keyboard.type("Joseph")
    keyboard.press("Enter")
    console.page.get_by_role("heading", name="Joseph").wait_for()
    tab_to(console, "Erase")
    keyboard.press("Enter")
    console.dialog().wait_for()
    keyboard.press("Escape")
    console.dialog().wait_for(state="detached")
    assert "Erase" in focused(console)
    keyboard.press("Enter")
    tab_to(console, "Erase")
    keyboard.press("Enter")
    console.has("1 person, 1 face")


def test_duplicates_are_reviewed_by_keyboard(enroll: Callable[..., None], open_console: OpenConsole) -> None:
    enroll("obama", "obama.jpg")
    enroll("barack", "obama2.jpg")
    console = open_console("review")
    console.has("Are they one person?")
    assert "Decision" in focused(console)
    console.page.keyboard.press("d")
    console.has("That was the last one.")


def test_a_picture_is_identified_by_keyboard(
    enroll: Callable[..., None], open_console: OpenConsole, sample_photos: Path
) -> None:
    enroll("obama", "obama.jpg")
    console = open_console("try")
    console.page.get_by_role("heading", level=1).wait_for()
    tab_to(console, "Choose a picture")
    with console.page.expect_file_chooser() as chooser:
        console.page.keyboard.press("Enter")
    chooser.value.set_files(sample_photos / "obama2.jpg")
    console.has("obama")
