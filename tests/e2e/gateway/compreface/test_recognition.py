"""Photos and vectors, searched and compared: the answers are those of the services, in CompreFace's form."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from facerec.client import EncoderClient, MatcherClient
from facerec.gateway.compreface.scores import similarity
from tests.e2e.gateway.compreface.calling import RECOGNITION, call, enroll, refusal, upload
from tests.e2e.gateway.test_documented_curl import answers, blocks, needs_curl

pytestmark = pytest.mark.usefixtures("empty")


def test_faces_of_a_photo_are_recognized_with_similarities(
    server: str, matcher_address: str, collection: str, photos: Mapping[str, bytes]
) -> None:
    enroll(server, "ann", photos["obama2"])
    path = f"{RECOGNITION}/recognize?prediction_count=1"
    answer = upload(server, path, file=photos["both"])
    assert answer.status == 200, answer
    ann, unenrolled = answer.json["result"]
    with MatcherClient(matcher_address) as matcher:
        found = matcher.identify(photos["both"], all_faces=True, max_distance=4.0, collection_id=collection)
    [first], [second] = (face.candidates for face in found.faces)
    assert ann["subjects"] == [{"subject": "ann", "similarity": similarity(first.distance, 0.5, match=True)}]
    assert ann["subjects"][0]["similarity"] > 0.5
    assert unenrolled["subjects"] == [
        {"subject": "ann", "similarity": similarity(second.distance, 0.5, match=False)}
    ]
    assert unenrolled["subjects"][0]["similarity"] < 0.5
    assert ann["box"]["x_max"] < unenrolled["box"]["x_min"]
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
    ann, unenrolled = answer.json["result"]
    with MatcherClient(matcher_address) as matcher:
        near = matcher.compare(photos["obama"], photos["obama2"]).distance
        far = matcher.compare(photos["biden"], photos["obama2"]).distance
    assert near is not None
    assert far is not None
    assert (ann["subject"], ann["similarity"]) == (
        "ann",
        pytest.approx(similarity(near, 0.6, match=True), abs=0.05),
    )
    assert unenrolled["similarity"] == pytest.approx(similarity(far, 0.6, match=False), abs=0.05)
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
    nan, huge = float("nan"), 10**400
    wrongs: list[list[Any]] = [
        [],
        [[]],
        [vectors[0][:5]],
        ["x"],
        [[None] * 128],
        [[huge] * 128],
        [[nan] * 128],
    ]
    for wrong in wrongs:
        answer = call(server, "POST", f"{RECOGNITION}/embeddings/recognize", {"embeddings": wrong})
        assert refusal(answer)[0] == 400, wrong


@needs_curl
def test_the_guide_s_examples_run(server: str, tmp_path: Path, sample_photos: Path) -> None:
    [block] = blocks("docs/compreface.md")
    added, recognized = answers(block, server, tmp_path, sample_photos)
    assert added["subject"] == "obama"
    [face] = recognized["result"]
    assert face["subjects"][0]["subject"] == "obama"
