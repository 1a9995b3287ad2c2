"""People: searched, changed and erased in the console."""

from collections.abc import Callable

import pytest

from tests.browser.conftest import OpenConsole
from tests.e2e.gateway.http import post

Enroll = Callable[..., None]
METHODS = "/facerec.matcher.v1.MatcherService"


@pytest.fixture
def two_people(enroll: Enroll) -> None:
    """Barack with two faces, and Joe."""
    enroll("obama", "obama.jpg", "obama2.jpg", display_name="Barack", **{"labels.site": "berlin"})
    enroll("biden", "biden.jpg", display_name="Joe")


def test_a_search_finds_people_by_the_beginning_of_their_names(
    two_people: None, open_console: OpenConsole
) -> None:
    console = open_console("people")
    console.has("Joe")
    console.page.get_by_label("Name or id").fill("Bar")
    console.counts("tbody tr", 1)
    assert "Barack" in console.main.inner_text()


def test_a_search_by_labels_finds_those_who_have_them(two_people: None, open_console: OpenConsole) -> None:
    console = open_console("people")
    console.page.get_by_label("Labels").fill("site=berlin")
    console.counts("tbody tr", 1)
    assert "site=berlin" in console.main.inner_text()
    console.page.get_by_label("Labels").fill("__proto__=x constructor=y")
    console.has("A label's key must be")


def test_a_name_a_label_and_an_id_are_changed(
    two_people: None, open_console: OpenConsole, console_address: str, collection: str
) -> None:
    console = open_console("people/person/biden")
    console.button("Change name").click()
    console.dialog(Name_to_show="Joseph").get_by_role("button", name="Change").click()
    console.has("Joseph")
    console.button("Labels").click()
    console.dialog(Key="team", Value="night").get_by_role("button", name="Save").click()
    console.has("team=night")
    console.button("Change id").click()
    console.dialog(New_id="joseph").get_by_role("button", name="Change").click()
    console.page.wait_for_url("**/people/person/joseph")
    console.has("team=night")
    named = {"collectionId": collection, "personId": "joseph"}
    person = post(console_address, f"{METHODS}/GetPerson", named).json["person"]
    assert (person["displayName"], person["labels"]) == ("Joseph", {"team": "night"})


def test_a_person_is_suspended_and_resumed(two_people: None, open_console: OpenConsole) -> None:
    console = open_console("people/person/biden")
    console.button("Suspend").click()
    console.dialog().get_by_role("button", name="Suspend").click()
    console.has("suspended")
    console.button("Resume").click()
    console.dialog().get_by_role("button", name="Resume").click()
    console.button("Suspend").wait_for()


def test_a_face_is_moved_and_an_erasure_leaves_a_receipt(
    two_people: None, open_console: OpenConsole, console_address: str, collection: str
) -> None:
    console = open_console("people/person/obama")
    console.main.get_by_role("button", name="Move face").first.click()
    dialog = console.dialog(Id_of_that_person="barack-2")
    dialog.get_by_role("button", name="Move").click()
    dialog.get_by_label("Nobody has the id barack-2").check()
    dialog.get_by_role("button", name="Move").click()
    console.counts("tbody tr", 1)
    console.main.get_by_role("link", name="barack-2").wait_for()
    console.button("Erase").click()
    console.dialog().get_by_role("button", name="Erase").click()
    console.page.wait_for_url("**/people/erasure/*")
    console.has("1 person, 1 face")
    found = post(console_address, f"{METHODS}/ListPersons", {"collectionId": collection}).json["persons"]
    assert [person["personId"] for person in found] == ["barack-2", "biden"]


def test_a_failure_is_shown_in_its_dialog_which_keeps_what_was_typed(
    two_people: None, open_console: OpenConsole
) -> None:
    console = open_console("people/person/biden")
    console.button("Change id").click()
    dialog = console.dialog(New_id="obama")
    dialog.get_by_role("button", name="Change").click()
    dialog.get_by_text("Reason: PERSON_EXISTS").wait_for()
    assert dialog.get_by_label("New id").input_value() == "obama"
    console.dialog(New_id="joe").get_by_role("button", name="Change").click()
    console.page.wait_for_url("**/people/person/joe")


def test_a_merge_that_suspends_the_person_kept_is_agreed_to_first(
    two_people: None, open_console: OpenConsole, console_address: str, collection: str
) -> None:
    suspended = {"collectionId": collection, "personId": "biden", "suspended": True}
    assert post(console_address, f"{METHODS}/UpdatePerson", suspended).status == 200
    console = open_console("people")
    console.page.get_by_label("Suspended only").check()
    console.counts("tbody tr", 1)
    console.page.get_by_role("link", name="Joe").click()
    console.button("Merge").click()
    dialog = console.dialog(Id_of_the_person_to_keep="oba")
    dialog.locator("option[value=obama]").wait_for(state="attached")
    console.dialog(Id_of_the_person_to_keep="obama").get_by_role("button", name="Merge").click()
    dialog.get_by_label("obama is suspended after the merge").check()
    dialog.get_by_role("button", name="Merge").click()
    console.page.wait_for_url("**/people/person/obama")
    console.main.get_by_role("heading", name="Barack suspended").wait_for()


def test_the_page_of_an_unknown_person_leads_back(open_console: OpenConsole) -> None:
    console = open_console("people/person/nobody")
    console.has("Reason: PERSON_NOT_FOUND")
    console.main.get_by_role("link", name="All people").click()
    console.has("Nobody is found.")


def test_a_face_is_moved_on_a_narrow_screen_without_scrolling_sideways(
    two_people: None, open_console: OpenConsole
) -> None:
    console = open_console("people/person/biden", width="narrow")
    place = console.main.get_by_role("button", name="Erase face").bounding_box()
    assert place["x"] >= 0 and place["x"] + place["width"] <= 390


def test_a_name_with_a_script_is_shown_as_text(enroll: Enroll, open_console: OpenConsole) -> None:
    name = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"
    enroll("biden", "biden.jpg", display_name=name, **{"labels.site": "<b>x</b>"})
    console = open_console("people")
    console.has(name)
    console.page.get_by_role("link", name=name).click()
    console.has("site=<b>x</b>")
    assert console.page.evaluate("window.hit") is None


def test_the_field_of_an_id_suggests_people_by_any_word_of_their_names(
    enroll: Enroll, open_console: OpenConsole
) -> None:
    enroll("obama", "obama.jpg", display_name="Barack Obama")
    enroll("biden", "biden.jpg", display_name="Joe Biden")
    console = open_console("people/person/biden")
    console.button("Merge").click()
    console.page.get_by_role("dialog").locator("input[list]").press_sequentially("Oba")
    option = console.page.locator("datalist option")
    option.first.wait_for(state="attached")
    assert [option.nth(at).get_attribute("value") for at in range(option.count())] == ["obama"]
