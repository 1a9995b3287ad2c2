"""Try: people enrolled in the console, with pictures of one's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.browser.conftest import COLLECTIONS, OpenConsole
from tests.browser.pictures import faces, file, give, shown, two_faces
from tests.e2e.gateway.http import post

Enroll = Callable[..., None]
METHODS = "/facerec.matcher.v1.MatcherService"
LOSE_FIRST = """
    const real = fetch;
    window.sent = [];
    window.fetch = async (path, init) => {
      const answer = await real(path, init);
      if (path !== "/v1/enroll") return answer;
      if (sent.push(answer.status) === 1) throw new TypeError("lost");
      return answer;
    };
"""


def person(address: str, collection: str, person_id: str) -> Any:
    """A person's message; None for nobody."""
    named = {"collectionId": collection, "personId": person_id}
    return post(address, f"{METHODS}/GetPerson", named).json.get("person")


def test_every_face_is_named_and_an_unknown_one_enrolled_where_it_is_seen(
    enroll: Enroll,
    open_console: OpenConsole,
    console_address: str,
    collection: str,
    sample_photos: Path,
) -> None:
    enroll("obama", "obama2.jpg", display_name="Barack")
    console = open_console("try")
    give(console, file(two_faces(sample_photos)))
    assert sorted(name[3:] for name in faces(console)) == ["Barack", "Nobody who is enrolled"]
    console.button("Enroll this face …").click()
    console.button("Cancel").click()
    console.button("Enroll this face …").click()
    shown(console).get_by_label("Name").fill('Joé "B" Biden')
    assert shown(console).get_by_label("Id", exact=True).input_value() == "joe-b-biden"
    console.button("Enroll").click()
    console.has('Joé "B" Biden is enrolled with 1 face.')
    with console.page.expect_download() as saved:
        console.main.get_by_role("link", name="Download the cut-out").click()
    assert saved.value.suggested_filename == "picture-face-1.png"
    named = {"collectionId": collection, "personId": "joe-b-biden"}
    (face,) = post(console_address, f"{METHODS}/ListFaces", named).json["faces"]
    assert face["externalRef"] == "picture-face-1.png"
    assert sorted(name[3:] for name in faces(console)) == ["Barack", 'Joé "B" Biden']
    console.main.get_by_text("≤ threshold").first.wait_for()
    assert person(console_address, collection, "joe-b-biden")["faceCount"] == 1


def test_one_of_several_pictures_that_is_refused_is_named_and_can_be_removed(
    open_console: OpenConsole, console_address: str, collection: str, sample_photos: Path
) -> None:
    console = open_console("try/enroll")
    unshown = file(sample_photos / "obama2.jpg") | {"name": "a.heic", "buffer": b"no picture"}
    give(console, file(sample_photos / "obama.jpg"), file(two_faces(sample_photos)), unshown)
    console.main.get_by_text("This browser cannot show a.heic").wait_for()
    console.button("Remove a.heic").click()
    shown(console).get_by_label("Name").fill("Ann")
    console.button("Enroll").click()
    console.has("picture.png: ")
    console.has("Or tick “Take the largest face of a picture that shows several”.")
    console.counts("#panel-enroll .picture.refused img[alt='picture.png']", 1)
    shown(console).get_by_label("Take the largest face").check()
    console.button("Enroll").click()
    console.has("Ann is enrolled with 2 faces.")
    named = {"collectionId": collection, "personId": "ann"}
    found = post(console_address, f"{METHODS}/ListFaces", named).json["faces"]
    assert sorted(face["externalRef"] for face in found) == ["obama.jpg", "picture.png"]


def test_an_id_that_is_taken_is_asked_about_before_a_face_is_added(
    enroll: Enroll, open_console: OpenConsole, console_address: str, collection: str, sample_photos: Path
) -> None:
    enroll("ann", "obama.jpg", display_name="Ann")
    console = open_console("try/enroll")
    give(console, file(sample_photos / "obama2.jpg"))
    shown(console).get_by_label("Name").fill("Ann")
    console.button("Enroll").click()
    console.has("Ann (ann) is enrolled already.")
    assert person(console_address, collection, "ann")["faceCount"] == 1
    console.button("Add to Ann (ann)").click()
    console.has("1 face added to Ann, who now has 2.")
    console.has("The picture is identified now")


def test_an_enrollment_whose_answer_is_lost_is_repeated_and_done_once(
    open_console: OpenConsole, console_address: str, collection: str, sample_photos: Path
) -> None:
    console = open_console("try/enroll")
    shown(console).wait_for()
    console.page.evaluate(LOSE_FIRST)
    give(console, file(sample_photos / "obama.jpg"))
    shown(console).get_by_label("Name").fill("Ann")
    console.button("Enroll").click()
    console.has("Ann is enrolled with 1 face.")  # as the lost answer said
    assert console.page.evaluate("sent") == [200, 200]
    assert person(console_address, collection, "ann")["faceCount"] == 1


def test_a_face_that_is_like_somebody_elses_is_said_with_what_to_do(
    enroll: Enroll, open_console: OpenConsole, console_address: str, collection: str, sample_photos: Path
) -> None:
    enroll("obama", "obama.jpg")
    console = open_console("try/enroll")
    give(console, file(sample_photos / "obama2.jpg"))
    shown(console).get_by_label("Name").fill("Somebody else")
    console.button("Enroll").click()
    console.has("The face is also like that of obama")
    console.main.get_by_role("link", name="merge them on the page Review").wait_for()
    refused = {"collectionId": collection, "settings": {"duplicatePolicy": "DUPLICATE_POLICY_REFUSE"}}
    assert post(console_address, f"{COLLECTIONS}/UpdateCollection", refused).status == 200
    shown(console).get_by_label("Name").fill("A third")
    console.button("Enroll").click()
    console.has("FACE_DUPLICATE")
    assert person(console_address, collection, "a-third") is None
    console.button("Add to somebody-else instead").click()
    console.has("Nothing was added: Somebody else had this picture already.")
