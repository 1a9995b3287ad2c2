"""Review: likely duplicates and inconsistent faces, decided one by one with keys."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import OpenConsole
from tests.e2e.gateway.http import post

Enroll = Callable[..., None]
METHODS = "/facerec.matcher.v1.MatcherService"


@pytest.fixture
def twice_enrolled(enroll: Enroll) -> None:
    """One person under two ids, and another."""
    enroll("obama", "obama.jpg")
    enroll("barack", "obama2.jpg")
    enroll("biden", "biden.jpg")


def persons(address: str, collection: str) -> list[str]:
    """The ids of a collection's people."""
    found = post(address, f"{METHODS}/ListPersons", {"collectionId": collection}).json["persons"]
    return [person["personId"] for person in found]


def test_duplicates_are_dismissed_by_a_key_and_taken_back(
    twice_enrolled: None, open_console: OpenConsole
) -> None:
    console = open_console("review/constructor")  # no kind of review, but a property of every object
    console.has("Are they one person?")
    console.page.keyboard.press("d")
    console.has("That was the last one.")
    console.button("Take it back").click()
    console.has("Are they one person?")


def test_duplicates_are_merged_by_a_key(
    twice_enrolled: None, open_console: OpenConsole, console_address: str, collection: str
) -> None:
    console = open_console("review")
    console.has("Are they one person?")
    console.page.keyboard.press("1")
    console.dialog().get_by_role("button", name="Merge").click()
    console.has("barack is merged into obama")
    assert persons(console_address, collection) == ["biden", "obama"]
    console.button("Take it back").click()
    console.has("Are they one person?")
    assert persons(console_address, collection) == ["barack", "biden", "obama"]


def test_an_inconsistent_face_is_moved_to_whom_it_is(
    enroll: Enroll, open_console: OpenConsole, console_address: str, collection: str
) -> None:
    enroll("obama", "obama.jpg", "obama2.jpg")
    enroll("biden", "biden.jpg", "obama3.jpg")
    console = open_console("review/inconsistent")
    console.has("The other face is probably obama's: move that one.")
    console.page.keyboard.press("o")
    console.has("The face is obama's")
    named = {"collectionId": collection, "personId": "obama"}
    assert post(console_address, f"{METHODS}/GetPerson", named).json["person"]["faceCount"] == 3


def test_a_pair_whose_people_have_changed_is_left_out(
    enroll: Enroll, open_console: OpenConsole, console_address: str, collection: str
) -> None:
    for person_id, name in (("a", "obama.jpg"), ("b", "obama2.jpg"), ("c", "obama3.jpg")):
        enroll(person_id, name)
    console = open_console("review")
    console.has("Are they one person?")
    merge = {"collectionId": collection, "sourcePersonId": "c", "targetPersonId": "b"}
    assert post(console_address, f"{METHODS}/MergePersons", merge).status == 200
    for _ in range(3):
        if console.main.get_by_text("That was the last one.").is_visible():
            break
        console.page.keyboard.press("s")
        console.main.get_by_text("Skipped").wait_for()
        console.main.locator("[aria-label=Decision], .notice").first.wait_for()
    console.has("left out, because their people have changed")
    console.button("Read it again").click()
    console.has("Are they one person?")


def test_a_pair_is_shown_with_a_warning_where_a_face_may_be_somebody_elses(
    enroll: Enroll, open_console: OpenConsole, console_address: str, collection: str
) -> None:
    enroll("obama", "obama.jpg", "obama2.jpg")
    enroll("joe", "biden.jpg", "obama3.jpg")
    suspended = {"collectionId": collection, "personId": "joe", "suspended": True}
    assert post(console_address, f"{METHODS}/UpdatePerson", suspended).status == 200
    console = open_console("review")
    console.has("joe has a face that is nearer to somebody else's")
    console.main.get_by_role("heading", name="joe suspended").wait_for()
    console.button("Different people d").wait_for()
    console.main.get_by_role("button", name="One person: keep obama").click()
    console.dialog().get_by_text("obama is suspended after the merge").wait_for()
    console.dialog().get_by_role("button", name="Cancel").click()
    console.main.get_by_role("link", name="look at that first").first.click()
    console.has("Whose is this face of")
