"""Try: faces identified, verified and compared in the console, with pictures of one's own."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.browser.conftest import OpenConsole
from tests.browser.pictures import NOTHING, boxes, faces, file, give, shown, two_faces
from tests.e2e.gateway.http import post_form

Enroll = Callable[..., None]
UPRIGHT_AFTER_ROTATION = 6  # EXIF's orientation of a picture to turn clockwise


@pytest.mark.parametrize(("width", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_an_answer_has_no_finding_of_axe(
    width: str, scheme: str, open_console: OpenConsole, sample_photos: Path
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    console = open_console("try", width=width, scheme=scheme)
    give(console, file(two_faces(sample_photos)))
    console.button("Enroll this face …").first.click()
    found: Any = Axe().run(console.page).response["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_boxes_lie_where_the_faces_are_also_where_a_picture_says_how_it_is_turned(
    open_console: OpenConsole, console_address: str, sample_photos: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = UPRIGHT_AFTER_ROTATION
    turned = file(two_faces(sample_photos).rotate(90, expand=True), "jpeg", quality=95, exif=exif)
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
    claimed = console.main.get_by_label("Id of the person")
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
    enroll: Enroll, open_console: OpenConsole, sample_photos: Path
) -> None:
    enroll("obama", "obama2.jpg")
    console = open_console("try")
    give(console, file(two_faces(sample_photos), "tiff"))
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
