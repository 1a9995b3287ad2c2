"""Try: faces identified, verified, compared and enrolled in the console, with pictures of one's own."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import COLLECTIONS, OpenConsole
from tests.browser.console import Console
from tests.e2e.gateway.http import post, post_form

Enroll = Callable[..., None]
METHODS = "/facerec.matcher.v1.MatcherService"
UPRIGHT_AFTER_ROTATION = 6  # EXIF's orientation of a picture to turn clockwise
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
NOTHING = Image.new("RGB", (320, 240), (120, 140, 160))


def file(picture: Image.Image | Path, kind: str = "png", **options: Any) -> dict[str, Any]:
    """A picture as a file to choose."""
    if isinstance(picture, Path):
        return {"name": picture.name, "mimeType": "image/jpeg", "buffer": picture.read_bytes()}
    data = io.BytesIO()
    picture.save(data, kind, **options)
    return {"name": f"picture.{kind}", "mimeType": f"image/{kind}", "buffer": data.getvalue()}


@pytest.fixture(scope="module")
def two_faces(sample_photos: Path) -> Image.Image:
    """A picture of Obama, at the left, and Biden."""
    both = [Image.open(sample_photos / name).convert("RGB") for name in ("obama.jpg", "biden.jpg")]
    scaled = [each.resize((600, 600 * each.height // each.width)).crop((0, 0, 600, 640)) for each in both]
    joined = Image.new("RGB", (1200, 640))
    for at, each in enumerate(scaled):
        joined.paste(each, (600 * at, 0))
    return joined


def shown(console: Console) -> Any:
    """The mode that is shown."""
    return console.main.locator("[role=tabpanel]:not([hidden])")


def give(console: Console, *files: dict[str, Any], place: int = 0) -> None:
    """Choose files for a place of the mode that is shown."""
    console.main.locator("[role=tabpanel]:not([hidden]) input[type=file]").nth(place).set_input_files(
        list(files)
    )


def faces(console: Console) -> list[str]:
    """The headings of the faces found."""
    console.main.locator(".faces").first.wait_for()
    return console.main.locator(".face h3").all_inner_texts()  # type: ignore[no-any-return]


def boxes(console: Console) -> list[list[float]]:
    """The boxes over the picture: left, top, width and height in percent."""
    lines = console.main.locator(".boxes .line")
    lines.first.wait_for(state="attached")
    found = lines.evaluate_all(
        "all => all.map(e => ['x', 'y', 'width', 'height'].map(n => parseFloat(e.getAttribute(n))))"
    )
    return sorted(found)


def person(address: str, collection: str, person_id: str) -> Any:
    """A person's message; None for nobody."""
    named = {"collectionId": collection, "personId": person_id}
    return post(address, f"{METHODS}/GetPerson", named).json.get("person")


def test_every_face_is_named_and_an_unknown_one_enrolled_where_it_is_seen(
    enroll: Enroll,
    open_console: OpenConsole,
    console_address: str,
    collection: str,
    two_faces: Image.Image,
) -> None:
    enroll("obama", "obama2.jpg", display_name="Barack")
    console = open_console("try")
    give(console, file(two_faces))
    assert sorted(name[3:] for name in faces(console)) == ["Barack", "Nobody who is enrolled"]
    console.button("Enroll this face …").click()
    shown(console).get_by_label("Name").fill('Joé "B" Biden')
    assert shown(console).get_by_label("Id", exact=True).input_value() == "joe-b-biden"
    console.button("Enroll").click()
    console.has('Joé "B" Biden is enrolled with 1 face.')
    assert sorted(name[3:] for name in faces(console)) == ["Barack", 'Joé "B" Biden']
    console.main.get_by_text("≤ threshold").first.wait_for()
    assert person(console_address, collection, "joe-b-biden")["faceCount"] == 1


@pytest.mark.parametrize(("width", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_an_answer_has_no_finding_of_axe(
    width: str, scheme: str, open_console: OpenConsole, two_faces: Image.Image
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    console = open_console("try", width=width, scheme=scheme)
    give(console, file(two_faces))
    console.button("Enroll this face …").first.click()
    found: Any = Axe().run(console.page).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_boxes_lie_where_the_faces_are_also_where_a_picture_says_how_it_is_turned(
    open_console: OpenConsole, console_address: str, two_faces: Image.Image
) -> None:
    exif = Image.Exif()
    exif[0x0112] = UPRIGHT_AFTER_ROTATION
    turned = file(two_faces.rotate(90, expand=True), "jpeg", quality=95, exif=exif)
    answer = post_form(console_address, "/v1/detect", [("image", turned["buffer"])]).json
    expected = sorted(
        [left / 12, top / 6.4, (right - left) / 12, (bottom - top) / 6.4]
        for top, right, bottom, left in (
            (box["top"], box["right"], box["bottom"], box["left"])
            for box in (face["boundingBox"] for face in answer["faces"])
        )
    )
    console = open_console("try")
    give(console, turned)
    for found, box in zip(boxes(console), expected, strict=True):
        assert found == pytest.approx(box, abs=0.2)


def test_a_claim_is_decided_by_all_pictures_and_an_unknown_person_may_be_enrolled(
    enroll: Enroll, open_console: OpenConsole, sample_photos: Path
) -> None:
    enroll("obama", "obama.jpg")
    console = open_console("try/verify")
    claimed = console.main.get_by_label("Who it is claimed to be")
    claimed.fill("obama")
    give(console, file(sample_photos / "obama2.jpg"), file(sample_photos / "obama3.jpg"))
    console.has("The pictures show obama.")
    console.has("1 stored face compared with 2 pictures.")
    give(console, file(sample_photos / "biden.jpg"))
    claimed.fill("joe")
    console.button("Verify").click()
    console.has("PERSON_NOT_FOUND")
    console.button("Enroll joe …").click()
    assert shown(console).get_by_label("Name").input_value() == "joe"
    console.counts("#panel-enroll .picture img", 3)


def test_two_pictures_are_compared_and_a_picture_without_a_face_is_said_to_have_none(
    open_console: OpenConsole, sample_photos: Path
) -> None:
    console = open_console("try/compare", width="narrow")
    give(console, file(sample_photos / "obama.jpg"))
    give(console, file(sample_photos / "obama2.jpg"), place=1)
    console.has("The same person")
    give(console, file(sample_photos / "biden.jpg"), place=1)
    console.has("Not the same person")
    give(console, file(NOTHING), place=1)
    console.has("FACE_NOT_FOUND")
    console.has("shows the face from the front")


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


def test_pictures_are_pasted_dropped_and_taken_by_the_camera(
    open_console: OpenConsole, sample_photos: Path
) -> None:
    console = open_console("try")
    shown(console).wait_for()
    data = base64.b64encode((sample_photos / "obama.jpg").read_bytes()).decode()
    for event, holder in (("ClipboardEvent('paste'", "clipboardData"), ("DragEvent('drop'", "dataTransfer")):
        console.page.evaluate(
            "data => { const transfer = new DataTransfer();"
            "transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], 'a.jpg'));"
            f"document.body.dispatchEvent(new {event}, {{ {holder}: transfer, bubbles: true }})); }}",
            data,
        )
        assert faces(console) == ["Nobody who is enrolled"]
        give(console, file(NOTHING))
        console.has("No face was found")
    console.button("Use the camera").click()
    console.counts(".answer > *", 0)
    console.button("Take the picture").click()
    console.has("No face was found")  # the camera is one of a test
    console.button("Use the camera").click()
    console.button("Stop the camera").click()
    console.counts("video", 0)


def test_a_picture_that_the_browser_cannot_show_is_answered_all_the_same(
    enroll: Enroll, open_console: OpenConsole, two_faces: Image.Image
) -> None:
    enroll("obama", "obama2.jpg")
    console = open_console("try")
    give(console, file(two_faces, "tiff"))
    assert sorted(name[3:] for name in faces(console)) == ["Nobody who is enrolled", "obama"]
    console.has("This browser cannot show picture.tiff.")
    console.counts(".boxes", 0)


def test_a_key_without_scores_sees_decisions_and_no_distances(
    enroll: Enroll, open_console: OpenConsole, collection: str, sample_photos: Path
) -> None:
    enroll("obama", "obama.jpg")
    console = open_console()

    def without(route: Any, *names: str) -> None:
        answer = route.fetch()
        body = answer.json()
        for face in body.get("faces", []):
            for each in (face, *face["candidates"]):
                for name in names:
                    each.pop(name, None)
        route.fulfill(response=answer, json=body)

    withheld = ("distance", "exact", "mode", "facesSearched", "faceId")
    console.page.route("**/v1/identify", lambda route: without(route, *withheld))
    console.page.route(
        "**/GetCaller",
        lambda route: route.fulfill(
            json={"caller": {"roles": ["ROLE_IDENTIFY"], "keysRequired": True, "collectionIds": [collection]}}
        ),
    )
    console.page.reload()
    console.main.get_by_role("tab", name="Who is it?").wait_for()
    assert console.main.get_by_role("tab").count() == 1
    give(console, file(sample_photos / "obama2.jpg"))
    assert faces(console) == ["obama"]
    console.has("Your key shows decisions, not distances.")
    text = console.main.inner_text()
    assert not any(word in text for word in ("undefined", "NaN", "threshold", "Enroll"))
