"""Subjects and their examples: persons and their faces."""

import base64
from collections.abc import Mapping
from urllib.parse import quote

import numpy as np
import pytest

from facerec.client import Encoding, MatcherClient
from facerec.contract import DEFAULT_SPACE
from tests.e2e.gateway.compreface.calling import RECOGNITION, call, enroll, refusal, upload

pytestmark = pytest.mark.usefixtures("empty")


def test_subjects_are_listed_renamed_merged_and_erased(server: str, photos: Mapping[str, bytes]) -> None:
    path = f"{RECOGNITION}/subjects"
    added = call(server, "POST", path, {"subject": "ann"})
    assert (added.status, added.json) == (201, {"subject": "ann"})
    assert call(server, "GET", path).json == {"subjects": ["ann"]}
    assert call(server, "GET", f"{RECOGNITION}/faces").json["total_elements"] == 0
    for subject, photo in (("ann", "obama"), ("anna", "obama2"), ("bob", "biden")):
        enroll(server, subject, photos[photo])
    assert refusal(call(server, "POST", path, {"subject": "ann"})) == (400, 43)
    assert call(server, "GET", f"{path}/").json == {"subjects": ["ann", "anna", "bob"]}
    assert call(server, "PUT", f"{path}/bob", {"subject": "bob"}).json == {"updated": False}
    assert call(server, "PUT", f"{path}/bob", {"subject": "Bob Ray"}).json == {"updated": True}
    assert call(server, "PUT", f"{path}/anna", {"subject": "ann"}).json == {"updated": True}
    assert call(server, "GET", path).json == {"subjects": ["Bob Ray", "ann"]}
    assert call(server, "GET", f"{RECOGNITION}/faces?subject=ann").json["total_elements"] == 2
    assert refusal(call(server, "PUT", f"{path}/anna", {"subject": "x"})) == (404, 42)
    assert call(server, "DELETE", f"{path}/Bob%20Ray").json == {"subject": "Bob Ray"}
    assert refusal(call(server, "DELETE", f"{path}/Bob%20Ray")) == (404, 42)
    assert refusal(call(server, "DELETE", f"{path}/")) == (400, 35)
    assert call(server, "DELETE", path).json == {"deleted": 1}
    assert call(server, "GET", path).json == {"subjects": []}


@pytest.mark.parametrize("subject", ["Ann Smith", "a/b c", "..", "100%", "Ωμέγα ✓ 名", "a+b&c=d?#", "é"])
def test_a_subject_has_any_name(server: str, photos: Mapping[str, bytes], subject: str) -> None:
    image_id = enroll(server, subject, photos["obama"])
    name = quote(subject, safe="")
    page = call(server, "GET", f"{RECOGNITION}/faces?subject={name}").json
    assert page["faces"] == [{"image_id": image_id, "subject": subject}]
    renamed = f"{subject} 2"
    put = call(server, "PUT", f"{RECOGNITION}/subjects/{name}", {"subject": renamed})
    assert put.json == {"updated": True}
    assert call(server, "GET", f"{RECOGNITION}/subjects").json == {"subjects": [renamed]}
    answer = call(server, "DELETE", f"{RECOGNITION}/subjects/{quote(renamed, safe='')}")
    assert answer.json == {"subject": renamed}


def test_examples_are_paged_and_erased_by_id_by_subject_and_all(
    server: str, photos: Mapping[str, bytes]
) -> None:
    path = f"{RECOGNITION}/faces"
    ann = [enroll(server, "ann", photos[name]) for name in ("obama", "obama2", "obama3")]
    bob = enroll(server, "bob", photos["biden"])
    assert enroll(server, "bob", photos["biden"]) == bob
    expected = [*({"image_id": each, "subject": "ann"} for each in ann), {"image_id": bob, "subject": "bob"}]
    pages = [call(server, "GET", f"{path}?page={page}&size=3").json for page in range(3)]
    assert [page["faces"] for page in pages] == [expected[:3], expected[3:], []]
    assert {key: pages[0][key] for key in list(pages[0])[1:]} == {
        "page_number": 0,
        "page_size": 3,
        "total_pages": 2,
        "total_elements": 4,
    }
    assert call(server, "GET", f"{path}?subject=nobody").json["faces"] == []
    assert call(server, "GET", f"{path}?size=5000").json["page_size"] == 1000
    one = call(server, "DELETE", f"{path}/{ann[0]}")
    assert one.json == {"image_id": ann[0], "subject": "ann"}
    assert refusal(call(server, "DELETE", f"{path}/{ann[0]}")) == (404, 44)
    some = call(server, "POST", f"{path}/delete", [ann[0], ann[1].upper()])
    assert some.json == [{"image_id": ann[1], "subject": "ann"}]
    assert call(server, "DELETE", f"{path}?subject=ann").json == {"deleted": 1}
    assert call(server, "DELETE", f"{path}?subject=ann").json == {"deleted": 0}
    assert refusal(call(server, "DELETE", f"{path}?subject=")) == (400, 26)
    assert call(server, "DELETE", path).json == {"deleted": 1}
    assert call(server, "GET", f"{RECOGNITION}/subjects").json == {"subjects": []}


def test_more_people_than_one_call_erases_are_paged_and_erased(
    server: str, matcher_address: str, collection: str
) -> None:
    names = [f"person {number:03}" for number in range(105)]
    vectors = np.random.default_rng(5).normal(0, 0.1, (len(names), 128)).astype(np.float32)
    with MatcherClient(matcher_address) as matcher:
        for name, vector in zip(names, vectors, strict=True):
            matcher.enroll(name, Encoding(vector, DEFAULT_SPACE), collection_id=collection)
    assert call(server, "GET", f"{RECOGNITION}/subjects").json == {"subjects": names}
    page = call(server, "GET", f"{RECOGNITION}/faces?page=5&size=20").json
    assert [face["subject"] for face in page["faces"]] == names[100:]
    assert (page["total_elements"], page["total_pages"]) == (105, 6)
    assert call(server, "DELETE", f"{RECOGNITION}/subjects").json == {"deleted": 105}


def test_an_example_is_a_photo_of_one_face(server: str, photos: Mapping[str, bytes]) -> None:
    path = f"{RECOGNITION}/faces?subject=ann"
    assert refusal(upload(server, path, file=photos["both"])) == (400, 31)
    assert refusal(upload(server, path, file=photos["nobody"])) == (400, 28)
    assert refusal(upload(server, path, file=b"no photo")) == (400, 21)
    assert refusal(upload(server, f"{path}&det_prob_threshold=1", file=photos["obama"])) == (400, 28)
    assert upload(server, f"{path}&det_prob_threshold=0.8", file=photos["obama"]).status == 201
    assert call(server, "POST", path, {"file": base64.b64encode(photos["obama2"]).decode()}).status == 201
