"""The short paths: photos as files or in base64, other fields by name, over real services."""

import base64
import json
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

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
    "query",
    [
        "page_size=0x1",
        "unknown=1",
        "person_id_prefix=%ff",
        "collection_id=a&collectionId=b",
        "&".join(["page_size=1"] * 300),
    ],
)
def test_an_invalid_query_is_refused(gateway: str, query: str) -> None:
    answer = http.send(gateway, "GET", f"/v1/persons?{query}")
    assert (answer.status, answer.reason) == (400, "OPTION_INVALID"), answer


def test_the_path_names_the_person_alone(gateway: str) -> None:
    answer: Any = http.send(gateway, "GET", "/v1/persons/ann?person_id=bob")
    assert (answer.status, answer.field) == (400, "person_id")


def test_people_and_their_faces_are_changed_by_paths_of_their_own(
    gateway: str, matcher_address: str, photos: dict[str, bytes], ann: str
) -> None:
    def ask(verb: str, path: str, body: Any = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        answer = http.send(gateway, verb, f"/v1/{path}", sent, http.JSON if body is not None else {})
        assert answer.status == 200, answer
        return answer.json

    odd = f"{ann} a/b:rename%"
    path = quote(odd, safe="")
    with MatcherClient(matcher_address) as matcher:
        matcher.enroll(odd, photos["obama"], photos["obama3"], labels={"site": "a", "team": "b"})
        changed = ask(
            "PATCH", f"persons/{path}", {"displayName": "Ann", "updateMask": "displayName,labels.site"}
        )
        assert (changed["person"]["displayName"], changed["person"]["labels"]) == ("Ann", {"team": "b"})
        body, headers = http.form([("suspended", "true")])
        assert http.send(gateway, "PATCH", f"/v1/persons/{path}", body, headers).json["person"]["suspended"]
        assert ask("POST", f"persons/{path}:rename", {"new_person_id": ann})["person"]["personId"] == ann
        first, second = (face["faceId"] for face in ask("GET", f"persons/{ann}/faces?page_size=2")["faces"])
        assert ask("PATCH", f"faces/{first}", {"externalRef": "badge"})["face"]["externalRef"] == "badge"
        assert ask("GET", f"faces/{first}")["face"]["externalRef"] == "badge"
        assert [each["faceId"] for each in ask("GET", "faces?external_ref=badge")["faces"]] == [first]
        moved = ask("POST", "faces:move", {"faceIds": [first], "targetPersonId": f"{ann}-2"})
        assert moved["facesMoved"] == 1
        assert ask("POST", f"persons/{ann}-2:merge", {"targetPersonId": ann})["facesMoved"] == 1
        listed = ask("GET", f"persons:batchGet?person_ids={ann}")["persons"]
        assert [(each["personId"], each["faceCount"]) for each in listed] == [(ann, 2)]
        erased = ask("DELETE", f"faces/{second}")
        assert ask("GET", f"erasures/{erased['erasureId']}")["facesDeleted"] == "1"
        assert ask("POST", "persons:batchDelete", {"personIds": [ann]})["facesDeleted"] == 1


@pytest.mark.parametrize(
    ("verb", "path", "body", "field"),
    [
        ("PATCH", "persons/ann", {"person_id": "bob", "suspended": True}, "person_id"),
        ("PATCH", "persons/ann", {"personId": "ann"}, "personId"),
        ("PATCH", "persons/J%E9r", {"allowMissing": True}, "person_id"),
        ("DELETE", "persons/J%E9r", None, "person_id"),
        ("POST", "persons/ann:rename", {}, "new_person_id"),
        ("POST", "persons/ann:rename?collection_id=b", {"new_person_id": "bob"}, ""),
        ("DELETE", "persons/ann", {"collection_id": "b"}, ""),
        ("POST", "calibrations/none:apply", None, "calibration_id"),
        ("GET", "persons/ann/faces?personId=bob", None, "personId"),
    ],
)
def test_what_a_path_or_its_body_has_wrong_is_named(
    gateway: str, verb: str, path: str, body: Any, field: str
) -> None:
    sent = None if body is None else json.dumps(body).encode()
    answer = http.send(gateway, verb, f"/v1/{path}", sent, http.JSON if body is not None else {})
    assert answer.status == 400, answer
    if field:
        assert answer.field == field
    else:
        assert f"{verb} takes the fields in" in answer.json["message"]


def test_a_path_that_takes_no_photo_says_so(gateway: str) -> None:
    answer = http.post_form(gateway, "/v1/persons/ann:rename", [("image", b"x")])
    assert (answer.status, answer.json["message"]) == (400, "image takes no file")


def test_a_collection_and_its_evidence_have_paths(gateway: str) -> None:
    name = f"c-{uuid.uuid4()}"
    settings = {"verifyThreshold": 0.5}
    created = http.post(gateway, "/v1/collections", {"collectionId": name, "settings": settings}).json
    assert created["collection"]["settings"]["verifyThreshold"] == 0.5
    changed = {"settings": {"verifyThreshold": 0.4}}
    path = f"/v1/collections/{name}"
    answer = http.send(gateway, "PATCH", path, json.dumps(changed).encode(), http.JSON).json
    assert answer["collection"]["settings"]["verifyThreshold"] == 0.4
    assert http.send(gateway, "GET", path).json == answer
    for empty in ("duplicates", "inconsistentFaces"):
        answer = http.send(gateway, "GET", f"/v1/{empty}?collection_id={name}").json
        assert not any(answer[each] for each in ("pairs", "faces") if each in answer)
    events = http.send(gateway, "GET", f"/v1/auditEvents?collection_id={name}&page_size=1").json["events"]
    assert [each["action"] for each in events] == ["AUDIT_ACTION_UPDATE_COLLECTION"]
    assert http.send(gateway, "DELETE", path).json["collectionsDeleted"] == 1
    assert "dimensions" in str(http.send(gateway, "GET", "/v1/model").json)
