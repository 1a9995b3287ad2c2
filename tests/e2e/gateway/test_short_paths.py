"""The short paths: photos as files or in base64, other fields by name, over real services."""

import base64
import uuid
from pathlib import Path
from typing import Any

import pytest

from facerec.client import EncoderClient, MatcherClient
from tests.e2e.gateway import http

Parts = list[tuple[str, str | bytes]]


@pytest.fixture(scope="module")
def photos(sample_photos: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sample_photos.glob("*.jpg")}


@pytest.fixture
def ann() -> str:
    """The id of a person of the test's own."""
    return f"ann-{uuid.uuid4()}"


def verify(gateway: str, person_id: str, photo: bytes, *more: tuple[str, str | bytes]) -> http.Answer:
    return http.post_form(gateway, "/v1/verify", [("image", photo), ("person_id", person_id), *more])


def test_photos_of_a_form_enroll_a_person_who_is_then_verified_and_found(
    gateway: str, matcher_address: str, photos: dict[str, bytes], ann: str
) -> None:
    parts: Parts = [
        ("image", photos["obama"]),
        ("image", photos["obama3"]),
        ("person_id", ann),
        ("items.external_ref", "first"),
        ("items.external_ref", "second"),
        ("labels", '{"site": "door"}'),
    ]
    enrolled = http.post_form(gateway, "/v1/enroll", parts)
    assert enrolled.status == 200, enrolled
    assert len(enrolled.json["faces"]) == 2
    answer = verify(gateway, ann, photos["obama2"]).json
    with MatcherClient(matcher_address) as matcher:
        expected = matcher.verify(ann, photos["obama2"])
        assert [face.external_ref for face in matcher.list_faces(ann)] == ["first", "second"]
        assert dict(matcher.get_person(ann).labels) == {"site": "door"}
    assert (answer["match"], answer["distance"]) == (True, expected.distance)
    assert verify(gateway, ann, photos["biden"]).json["match"] is False
    found = http.post_form(
        gateway, "/v1/identify", [("image", photos["obama2"]), ("maxCandidates", "1")]
    ).json
    assert [each["personId"] for each in found["faces"][0]["candidates"]] == [ann]
    compared = http.post_form(
        gateway, "/v1/compare", [("image_a", photos["obama"]), ("image_b", photos["obama2"])]
    ).json
    assert compared["match"] is True
    listed = http.send(gateway, "GET", f"/v1/persons?person_id_prefix={ann}").json
    assert [person["personId"] for person in listed["persons"]] == [ann]
    assert http.send(gateway, "GET", f"/v1/persons/{ann}").json["person"]["faceCount"] == 2
    assert http.send(gateway, "DELETE", f"/v1/persons/{ann}").json["facesDeleted"] == 2
    assert http.send(gateway, "GET", f"/v1/persons/{ann}").status == 404


def test_json_takes_a_photo_in_base64_under_the_same_name(
    gateway: str, photos: dict[str, bytes], ann: str
) -> None:
    photo = base64.b64encode(photos["obama"]).decode()
    enrolled = http.post(gateway, "/v1/enroll", {"person_id": ann, "image": [photo]})
    assert enrolled.status == 200, enrolled
    body = {"personId": ann, "image": photo, "maxDistance": 0.4}
    assert http.post(gateway, "/v1/verify", body).json["match"] is True
    whole = {"personId": ann, "probe": {"image": photo}}  # as the contract has it
    assert http.post(gateway, "/v1/verify", whole).json["match"] is True
    refused = http.post(gateway, "/v1/verify", {"personId": ann, "image": "no base64!"})
    assert (refused.status, refused.field) == (400, "image")
    assert http.send(gateway, "DELETE", f"/v1/persons/{ann}").status == 200


def test_faces_of_a_photo_are_encoded_and_detected_as_over_grpc(
    gateway: str, encoder_address: str, photos: dict[str, bytes]
) -> None:
    with EncoderClient(encoder_address) as encoder:
        [expected] = encoder.encode(photos["obama"]).faces
    options: Parts = [("options.full_resolution", "false"), ("options.max_faces", "1")]
    encoded = http.post_form(gateway, "/v1/encode", [("image", photos["obama"]), *options]).json
    values = encoded["faces"][0]["encoding"]["values"]
    assert values == pytest.approx(expected.encoding.values.tolist(), abs=1e-6)
    detected = http.post(gateway, "/v1/detect", {"image": base64.b64encode(photos["obama"]).decode()}).json
    assert detected["faces"][0]["boundingBox"] == encoded["faces"][0]["boundingBox"]


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([("image", b"x"), ("person", "ann")], "person"),
        ([("image", b"x"), ("probe.unknown", "1")], "probe.unknown"),
        ([("image", b"x"), ("person_id.x", "1")], "person_id.x"),
        ([("image", b"x"), ("max_distance", "near")], "max_distance"),
        ([("image", b"x"), ("include_attributes", "maybe")], "include_attributes"),
        ([("image", b"x"), ("person_id", "ann"), ("person_id", "bob")], "person_id"),
        ([("image", "door.jpg"), ("person_id", "ann")], "image"),
        ([("image", b"x"), ("person_id", b"ann")], "person_id"),
        (
            [("image", b"x"), ("person_id", "ann"), ("probe.encoding.values.x", "1")],
            "probe.encoding.values.x",
        ),
    ],
)
def test_what_a_form_has_wrong_is_named(gateway: str, parts: Parts, field: str) -> None:
    answer = http.post_form(gateway, "/v1/verify", parts)
    assert (answer.status, answer.reason, answer.field) == (400, "OPTION_INVALID", field), answer


VERIFY_TAKES = "image, collection_id, person_id, probe, max_distance, include_attributes, probes"


@pytest.mark.parametrize(
    ("path", "parts", "message"),
    [
        ("verify", [("file", b"x")], "file takes no file: send image=@photo.jpg"),
        ("compare", [("image", b"x")], "image takes no file: send image_a=@photo.jpg and image_b=@photo.jpg"),
        ("verify", [("person", "ann")], f"there is no field person: /v1/verify takes {VERIFY_TAKES}"),
        ("verify", [("image", b"x")], f"person_id is missing: /v1/verify takes {VERIFY_TAKES}"),
        ("verify", [("person_id", "ann")], "there is no photo: send image=@photo.jpg"),
        ("enroll", [("person_id", "ann")], "there is no photo: send image=@photo.jpg"),
        ("encode", [("options.max_faces", "1")], "there is no photo: send image=@photo.jpg"),
        ("encode", [("image", b"x"), ("image", b"y")], "image is given twice: /v1/encode takes one"),
        ("compare", [("image_a", b"x")], "there is no photo: send image_b=@photo.jpg"),
        (
            "identify",
            [("probes.person_id", "ann")],
            "probes.person_id: there is no photo that it is about; send one, or the whole probes as JSON",
        ),
        (
            "identify",
            [("image", b"x"), ("filter.labels.values", "paris")],
            "filter.labels.values: name a key, as in labels.KEY.values",
        ),
    ],
)
def test_what_a_form_has_wrong_is_said_with_what_to_send(
    gateway: str, path: str, parts: Parts, message: str
) -> None:
    answer = http.post_form(gateway, f"/v1/{path}", parts)
    assert (answer.status, answer.json["message"]) == (400, message)


def test_several_photos_are_one_claim_and_several_faces_or_one_to_search(
    gateway: str, matcher_address: str, photos: dict[str, bytes], ann: str
) -> None:
    labels: Parts = [("labels.site", "paris"), ("labels.a.b", "c")]
    enroll: Parts = [("image", photos["obama"]), ("person_id", ann), *labels]
    assert http.post_form(gateway, "/v1/enroll", enroll).status == 200
    both = [photos["obama2"], photos["obama3"]]
    with MatcherClient(matcher_address) as matcher:
        expected = matcher.verify(ann, *both).distance
        assert dict(matcher.get_person(ann).labels) == {"site": "paris", "a.b": "c"}
    images: Parts = [("image", photo) for photo in both]
    claim: Parts = [*images, ("person_id", ann), ("probes.use_largest_face", "true")]
    assert http.post_form(gateway, "/v1/verify", claim).json["distance"] == expected
    in_base64 = {"personId": ann, "image": [base64.b64encode(photo).decode() for photo in both]}
    assert http.post(gateway, "/v1/verify", in_base64).json["distance"] == expected
    for site, found in (("paris", [ann]), ("rome", [])):
        search: Parts = [*images, ("filter.labels.site.values", site), ("filter.labels.site.values", "oslo")]
        faces = http.post_form(gateway, "/v1/identify", search).json["faces"]
        assert [[each["personId"] for each in face["candidates"]] for face in faces] == [found, found]
        [face] = http.post_form(gateway, "/v1/identify", [*search, ("same_person", "true")]).json["faces"]
        assert [each["personId"] for each in face["candidates"]] == found
        listed = http.send(gateway, "GET", f"/v1/persons?filter.labels.site.values={site}").json["persons"]
        assert [each["personId"] for each in listed] == found
    assert http.send(gateway, "DELETE", f"/v1/persons/{ann}").status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"person": "ann"}', "person"),
        (b'{"probe": {"unknown": 1}}', "probe.unknown"),
        (b'{"personId": 5}', "personId"),
        (b'{"probe": {"encoding": {"values": ["x"]}}}', "probe.encoding.values[0]"),
        (b"[]", ""),
        (b"{", ""),
        (b"[" * 100_000, ""),
        (b'{"personId": "\xff"}', ""),
    ],
)
@pytest.mark.parametrize("path", ["/v1/verify", "/facerec.matcher.v1.MatcherService/Verify"])
def test_what_json_has_wrong_is_named(gateway: str, path: str, body: bytes, field: str) -> None:
    answer = http.send(gateway, "POST", path, body, http.JSON)
    assert (answer.status, answer.reason) == (400, "OPTION_INVALID"), answer
    if field:
        assert answer.field == field


@pytest.mark.parametrize(
    "query", ["page_size=0x1", "unknown=1", "person_id_prefix=%ff", "&".join(["page_size=1"] * 300)]
)
def test_an_invalid_query_is_refused(gateway: str, query: str) -> None:
    answer = http.send(gateway, "GET", f"/v1/persons?{query}")
    assert (answer.status, answer.reason) == (400, "OPTION_INVALID"), answer


def test_the_path_names_the_person_alone(gateway: str) -> None:
    answer: Any = http.send(gateway, "GET", "/v1/persons/ann?person_id=bob")
    assert (answer.status, answer.field) == (400, "person_id")
