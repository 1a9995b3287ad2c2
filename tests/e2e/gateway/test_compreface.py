"""CompreFace's paths over real services, as its documentation has them: photos in, its JSON out."""

import base64
import io
import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from facerec.client import CollectionClient, EncoderClient, MatcherClient
from facerec.gateway.compreface.scores import similarity
from tests.e2e.gateway import http
from tests.e2e.gateway.conftest import GatewayProcess

KEY = {"x-api-key": "any"}
RECOGNITION = "/api/v1/recognition"
NO_EXAMPLE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def collection(matcher_address: str) -> str:
    """A collection of the module's own."""
    name = f"compreface-{uuid.uuid4().hex[:8]}"
    with CollectionClient(matcher_address) as collections:
        collections.create_collection(name)
    return name


@pytest.fixture(scope="module")
def server(encoder_address: str, matcher_address: str, collection: str) -> Iterator[str]:
    """HOST:PORT of a gateway with CompreFace's paths, over the collection."""
    flags = ("--compreface-paths", "--compreface-collection", collection)
    process = GatewayProcess(encoder_address, matcher_address, *flags)
    try:
        yield process.address
    finally:
        code = process.stop()
    assert code == 0


@pytest.fixture(autouse=True)
def empty(server: str) -> None:
    """The collection is empty when a test begins."""
    assert call(server, "DELETE", f"{RECOGNITION}/subjects").status == 200


@pytest.fixture(scope="module")
def photos(sample_photos: Path) -> dict[str, bytes]:
    """Photos by their names, and `both` of Obama, larger, and Biden."""
    found = {path.stem: path.read_bytes() for path in sample_photos.glob("*.jpg")}
    found["both"] = _side_by_side(found["obama"], found["biden"])
    found["nobody"] = _encoded(Image.new("RGB", (200, 200), "gray"))
    return found


def _side_by_side(left: bytes, right: bytes) -> bytes:
    first, second = Image.open(io.BytesIO(left)), Image.open(io.BytesIO(right))
    second = second.resize((second.width * 3 // 4, second.height * 3 // 4))
    joined = Image.new("RGB", (first.width + second.width, max(first.height, second.height)))
    joined.paste(first, (0, 0))
    joined.paste(second, (first.width, 0))
    return _encoded(joined)


def _encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def call(server: str, verb: str, path: str, document: Any = None) -> http.Answer:
    body = None if document is None else json.dumps(document).encode()
    return http.send(server, verb, path, body, {**KEY, **http.JSON})


def upload(server: str, path: str, **files: bytes) -> http.Answer:
    """Send photos as files of a form."""
    return http.post_form(server, path, list(files.items()), KEY)


def enroll(server: str, subject: str, photo: bytes) -> str:
    """Add an example; returns its image_id."""
    answer = upload(server, f"{RECOGNITION}/faces?subject={quote(subject, safe='')}", file=photo)
    assert (answer.status, answer.json["subject"]) == (201, subject), answer
    return str(answer.json["image_id"])


def refusal(answer: http.Answer) -> tuple[int, int]:
    """The status and the code of an error, which has its message and the request's id too."""
    assert set(answer.json) == {"message", "code"}, answer
    assert answer.json["message"]
    assert answer.headers["x-request-id"]
    return answer.status, answer.json["code"]


def test_subjects_are_listed_renamed_merged_and_erased(server: str, photos: Mapping[str, bytes]) -> None:
    path = f"{RECOGNITION}/subjects"
    added = call(server, "POST", path, {"subject": "ann"})
    assert (added.status, added.json) == (201, {"subject": "ann"})
    assert call(server, "GET", path).json == {"subjects": []}  # until the first example
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


def test_faces_of_a_photo_are_recognized_with_similarities(
    server: str, matcher_address: str, collection: str, photos: Mapping[str, bytes]
) -> None:
    enroll(server, "ann", photos["obama2"])
    path = f"{RECOGNITION}/recognize?prediction_count=1"
    answer = upload(server, path, file=photos["both"])
    assert answer.status == 200, answer
    ann, stranger = answer.json["result"]
    with MatcherClient(matcher_address, collection_id=collection) as matcher:
        found = matcher.identify(photos["both"], all_faces=True, max_distance=4.0)
    [first], [second] = (face.candidates for face in found.faces)
    assert ann["subjects"] == [{"subject": "ann", "similarity": similarity(first.distance, 0.5, match=True)}]
    assert ann["subjects"][0]["similarity"] > 0.5
    assert stranger["subjects"] == [
        {"subject": "ann", "similarity": similarity(second.distance, 0.5, match=False)}
    ]
    assert stranger["subjects"][0]["similarity"] < 0.5
    assert ann["box"]["x_max"] < stranger["box"]["x_min"]
    assert set(ann) == {"box", "subjects"}
    assert [
        face["subjects"] for face in upload(server, f"{path}&limit=1", file=photos["both"]).json["result"]
    ] == [ann["subjects"]]
    in_base64 = {"file": base64.b64encode(photos["both"]).decode()}
    assert call(server, "POST", path, in_base64).json == answer.json


def test_faces_are_compared_with_an_example_and_with_another_photo(
    server: str, matcher_address: str, photos: Mapping[str, bytes]
) -> None:
    image_id = enroll(server, "ann", photos["obama2"])
    answer = upload(server, f"{RECOGNITION}/faces/{image_id}/verify", file=photos["both"])
    assert answer.status == 200, answer
    ann, stranger = answer.json["result"]
    with MatcherClient(matcher_address) as matcher:
        near = matcher.compare(photos["obama"], photos["obama2"]).distance
        far = matcher.compare(photos["biden"], photos["obama2"]).distance
    assert near is not None
    assert far is not None
    assert (ann["subject"], ann["similarity"]) == (
        "ann",
        pytest.approx(similarity(near, 0.6, match=True), abs=0.05),
    )
    assert stranger["similarity"] == pytest.approx(similarity(far, 0.6, match=False), abs=0.05)
    files = {"source_image": photos["obama2"], "target_image": photos["both"]}
    [verified] = upload(server, "/api/v1/verification/verify?status=true", **files).json["result"]
    assert [face["similarity"] for face in verified["face_matches"]] == [
        pytest.approx(face["similarity"], abs=1e-4) for face in answer.json["result"]
    ]
    assert set(verified["source_image_face"]) == {"box"}
    assert set(verified["plugins_versions"]) == {"detector", "calculator"}
    in_base64 = {name: base64.b64encode(photo).decode() for name, photo in files.items()}
    again = call(server, "POST", "/api/v1/verification/verify", in_base64).json["result"][0]
    assert again["face_matches"] == verified["face_matches"]


def test_detection_answers_boxes_within_the_photo_and_vectors_if_asked(
    server: str, encoder_address: str, photos: Mapping[str, bytes]
) -> None:
    path = "/api/v1/detection/detect?face_plugins=age,gender,landmarks,calculator,mask,pose&status=true"
    answer = upload(server, path, file=photos["obama"]).json
    [face] = answer["result"]
    with EncoderClient(encoder_address) as encoder:
        [expected] = encoder.encode(photos["obama"]).faces
        model = encoder.get_model()
    assert face["embedding"] == pytest.approx(expected.encoding.values.tolist(), abs=1e-6)
    box = expected.bounding_box
    edges = {"x_min": box.left, "y_min": box.top, "x_max": box.right, "y_max": box.bottom}
    assert {name: face["box"][name] for name in edges} == edges
    assert 0.5 < face["box"]["probability"] <= 1
    assert set(face) == {"box", "embedding"}
    assert answer["plugins_versions"] == {"detector": "dlib.HOG", "calculator": model.name}
    sure = f"/api/v1/detection/detect?det_prob_threshold={face['box']['probability']}"
    assert len(upload(server, sure, file=photos["obama"]).json["result"]) == 1
    assert refusal(upload(server, "/api/v1/detection/detect?det_prob_threshold=1", file=photos["both"])) == (
        400,
        28,
    )


def test_vectors_of_the_calculator_are_recognized_and_compared(
    server: str, photos: Mapping[str, bytes]
) -> None:
    image_id = enroll(server, "ann", photos["obama2"])
    detected = upload(server, "/api/v1/detection/detect?face_plugins=calculator", file=photos["both"]).json
    vectors = [face["embedding"] for face in detected["result"]]
    recognized = upload(server, f"{RECOGNITION}/recognize", file=photos["both"]).json["result"]
    found = call(server, "POST", f"{RECOGNITION}/embeddings/recognize", {"embeddings": vectors * 9}).json[
        "result"
    ]
    assert [each["embedding"] for each in found] == vectors * 9
    assert [each["similarities"] for each in found] == [
        [{"subject": "ann", "similarity": pytest.approx(face["subjects"][0]["similarity"], abs=1e-4)}]
        for face in recognized * 9
    ]
    stored = call(
        server, "POST", f"{RECOGNITION}/embeddings/faces/{image_id}/verify", {"embeddings": vectors[::-1]}
    )
    assert [each["embedding"] for each in stored.json["result"]] == vectors  # the most similar first
    body = {"source": vectors[0], "targets": vectors}
    compared = call(server, "POST", "/api/v1/verification/embeddings/verify", body).json["result"]
    assert compared[0] == {"embedding": vectors[0], "similarity": similarity(0.0, 0.6, match=True)}
    for wrong in (
        [],
        [[]],
        [vectors[0][:5]],
        ["x"],
        [[None] * 128],
        [[10**400] * 128],
        [[float("nan")] * 128],
    ):
        answer = call(server, "POST", f"{RECOGNITION}/embeddings/recognize", {"embeddings": wrong})
        assert refusal(answer)[0] == 400, wrong


def test_an_example_is_a_photo_of_one_face(server: str, photos: Mapping[str, bytes]) -> None:
    path = f"{RECOGNITION}/faces?subject=ann"
    assert refusal(upload(server, path, file=photos["both"])) == (400, 31)
    assert refusal(upload(server, path, file=photos["nobody"])) == (400, 28)
    assert refusal(upload(server, path, file=b"no photo")) == (400, 21)
    assert refusal(upload(server, f"{path}&det_prob_threshold=1", file=photos["obama"])) == (400, 28)
    assert upload(server, f"{path}&det_prob_threshold=0.8", file=photos["obama"]).status == 201
    assert call(server, "POST", path, {"file": base64.b64encode(photos["obama2"]).decode()}).status == 201


@pytest.mark.parametrize(
    ("verb", "path", "document", "expected"),
    [
        ("POST", f"{RECOGNITION}/faces?subject=x", {"file": "no base64!"}, (400, 21)),
        ("POST", f"{RECOGNITION}/faces?subject=x", {}, (400, 5)),
        ("POST", f"{RECOGNITION}/faces?subject=x", [], (400, 36)),
        ("POST", f"{RECOGNITION}/faces?subject=x", None, (400, 34)),
        ("POST", f"{RECOGNITION}/faces", {"file": "eA=="}, (400, 33)),
        ("POST", f"{RECOGNITION}/faces?subject=%20", {"file": "eA=="}, (400, 26)),
        ("POST", f"{RECOGNITION}/faces?subject=x%00", {"file": "eA=="}, (400, 26)),
        ("POST", f"{RECOGNITION}/faces?subject=%ff", {"file": "eA=="}, (400, 36)),
        ("POST", f"{RECOGNITION}/faces?subject=a&subject=b", {"file": "eA=="}, (400, 36)),
        ("POST", f"{RECOGNITION}/subjects", {"subject": ""}, (400, 26)),
        ("POST", f"{RECOGNITION}/subjects", {"subject": "\ud800"}, (400, 26)),
        ("POST", f"{RECOGNITION}/subjects", {"subject": " x"}, (400, 26)),
        ("POST", f"{RECOGNITION}/subjects", {"subject": "x" * 129}, (400, 26)),
        ("POST", f"{RECOGNITION}/subjects", {"subject": 5}, (400, 26)),
        ("PUT", f"{RECOGNITION}/subjects/%ff", {"subject": "x"}, (400, 36)),
        ("DELETE", f"{RECOGNITION}/faces/no-uuid", None, (400, 36)),
        ("POST", f"{RECOGNITION}/faces/delete", {"ids": []}, (400, 36)),
        ("POST", f"{RECOGNITION}/faces/delete", [NO_EXAMPLE, "x"], (400, 36)),
        ("POST", f"{RECOGNITION}/faces/{NO_EXAMPLE}/verify", {"file": "eA=="}, (404, 44)),
        ("GET", f"{RECOGNITION}/faces/{NO_EXAMPLE}/img", None, (404, 11)),
        ("GET", f"/api/v1/static/any/images/{NO_EXAMPLE}", None, (404, 11)),
        ("GET", f"{RECOGNITION}/faces?page=-1", None, (400, 26)),
        ("GET", f"{RECOGNITION}/faces?size=ten", None, (400, 36)),
        ("POST", f"{RECOGNITION}/recognize?limit=-1", {"file": "eA=="}, (400, 26)),
        ("POST", f"{RECOGNITION}/recognize?prediction_count=0", {"file": "eA=="}, (400, 26)),
        ("POST", f"{RECOGNITION}/recognize?prediction_count=101", {"file": "eA=="}, (400, 26)),
        ("POST", f"{RECOGNITION}/recognize?det_prob_threshold=nan", {"file": "eA=="}, (400, 36)),
        ("POST", f"{RECOGNITION}/recognize?status=maybe", {"file": "eA=="}, (400, 36)),
        ("POST", f"{RECOGNITION}/recognize?detect_faces=false", {"file": "eA=="}, (400, 36)),
        ("PATCH", f"{RECOGNITION}/subjects", None, (404, 0)),
        ("GET", f"{RECOGNITION}/faces/../subjects", None, (404, 0)),
        ("GET", f"{RECOGNITION}//subjects", None, (404, 0)),
        ("GET", "/api/v1/", None, (404, 0)),
    ],
)
def test_what_is_wrong_is_refused_in_compreface_s_form(
    server: str, verb: str, path: str, document: Any, expected: tuple[int, int]
) -> None:
    assert refusal(call(server, verb, path, document)) == expected


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"", "multipart/form-data; boundary=x", 36),
        (
            b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\ncut",
            "multipart/form-data; boundary=x",
            36,
        ),
        (b"{", "application/json", 36),
        (b"[" * 100_001, "application/json", 36),
        (b"x", "text/plain", 0),
    ],
)
def test_a_body_that_is_incomplete_or_of_another_kind_is_refused(
    server: str, body: bytes, kind: str, code: int
) -> None:
    answer = http.send(
        server,
        "POST",
        f"{RECOGNITION}/recognize",
        body,
        {**KEY, "content-type": kind, "content-length": str(len(body))},
    )
    assert refusal(answer) == (400, code)


def test_without_the_setting_there_are_no_such_paths(gateway: str) -> None:
    assert call(gateway, "GET", f"{RECOGNITION}/subjects").status == 404
