"""Faces are indexed, searched, given to users and taken from them, as programs for Rekognition expect."""

import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facerec.client import CollectionClient, MatcherClient
from facerec.gateway.rekognition.scores import percent_of
from tests.e2e.gateway.rekognition.calling import call, refusal

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def photos(sample_photos: Path) -> dict[str, dict[str, bytes]]:
    return {path.stem: {"Bytes": path.read_bytes()} for path in sample_photos.glob("*.jpg")}


@pytest.fixture
def crew(rekognition: str) -> Iterator[str]:
    """A collection of the test's own."""
    name = f"crew-{uuid.uuid4().hex[:12]}"
    assert call(rekognition, "CreateCollection", CollectionId=name)["StatusCode"] == 200
    yield name
    assert call(rekognition, "DeleteCollection", CollectionId=name) == {"StatusCode": 200}


def index(address: str, crew: str, image: dict[str, bytes], **parameters: Any) -> Any:
    """The one face that an image adds."""
    answer = call(address, "IndexFaces", CollectionId=crew, Image=image, **parameters)
    [record] = answer["FaceRecords"]
    return record["Face"]


def test_collections_are_made_listed_described_and_erased(rekognition: str, crew: str) -> None:
    assert refusal(rekognition, "CreateCollection", CollectionId=crew) == "ResourceAlreadyExistsException"
    assert refusal(rekognition, "CreateCollection", CollectionId="Crew.1") == "InvalidParameterException"
    tagged = {"CollectionId": "tagged", "Tags": {"a": "b"}}
    assert refusal(rekognition, "CreateCollection", **tagged) == "InvalidParameterException"
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = call(rekognition, "ListCollections", MaxResults=1, **token)
        found += page["CollectionIds"]
        assert len(page["FaceModelVersions"]) == 1
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert {"default", crew} <= set(found)
    bad = refusal(rekognition, "ListCollections", NextToken="bad")
    assert bad == "InvalidPaginationTokenException"
    described = call(rekognition, "DescribeCollection", CollectionId=crew)
    assert described["FaceCount"] == 0
    assert described["CollectionARN"] == f"arn:facerec:rekognition:::collection/{crew}"
    assert refusal(rekognition, "DescribeCollection", CollectionId="none") == "ResourceNotFoundException"
    assert refusal(rekognition, "DeleteCollection", CollectionId="none") == "ResourceNotFoundException"


def test_an_image_sent_again_adds_no_face_and_its_faces_are_found(
    rekognition: str, matcher_address: str, crew: str, photos: dict[str, dict[str, bytes]]
) -> None:
    face = index(rekognition, crew, photos["obama"], ExternalImageId="badge:1")
    assert index(rekognition, crew, photos["obama"], ExternalImageId="badge:1") == face
    other = index(rekognition, crew, photos["biden"], MaxFaces=1, QualityFilter="NONE")
    assert call(rekognition, "DescribeCollection", CollectionId=crew)["FaceCount"] == 2
    with MatcherClient(matcher_address) as matcher, CollectionClient(matcher_address) as collections:
        people = {each.person_id: each.display_name for each in matcher.list_persons(collection_id=crew)}
        assert all(each.startswith("~") for each in people)
        assert sorted(people.values()) == ["", "badge:1"]
        [answer] = matcher.identify(photos["obama2"]["Bytes"], collection_id=crew).faces
        [nearest] = answer.candidates
        threshold = collections.get_collection(crew).settings.identify_threshold
    assert nearest.distance is not None
    assert threshold is not None
    similarity = percent_of(nearest.distance, threshold)
    by_image: dict[str, Any] = {"CollectionId": crew, "Image": photos["obama2"]}
    match = {"Similarity": similarity, "Face": {"FaceId": face["FaceId"], "ExternalImageId": "badge:1"}}
    searched = call(rekognition, "SearchFacesByImage", **by_image)
    assert searched["FaceMatches"] == [match]
    [detected] = call(rekognition, "DetectFaces", Image=photos["obama2"])["FaceDetails"]
    assert searched["SearchedFaceBoundingBox"] == detected["BoundingBox"]
    for percent, count in ((similarity, 1), (similarity + 0.01, 0), (79, 1), (0, 2)):
        found = call(rekognition, "SearchFacesByImage", FaceMatchThreshold=percent, **by_image)
        assert len(found["FaceMatches"]) == count, percent
    every = {"FaceMatchThreshold": 0, "MaxFaces": 4096}
    found = call(rekognition, "SearchFaces", CollectionId=crew, FaceId=face["FaceId"], **every)
    assert [each["Face"]["FaceId"] for each in found["FaceMatches"]] == [other["FaceId"]]
    missing = refusal(rekognition, "SearchFaces", CollectionId=crew, FaceId=NOBODY)
    assert missing == "InvalidParameterException"
    listed = call(rekognition, "ListFaces", CollectionId=crew)["Faces"]
    assert [each["FaceId"] for each in listed] == sorted([face["FaceId"], other["FaceId"]])
    page = call(rekognition, "ListFaces", CollectionId=crew, MaxResults=1)
    rest = call(rekognition, "ListFaces", CollectionId=crew, NextToken=page["NextToken"])
    assert page["Faces"] + rest["Faces"] == listed
    some = call(rekognition, "ListFaces", CollectionId=crew, FaceIds=[face["FaceId"], NOBODY])
    assert some["Faces"] == [{"FaceId": face["FaceId"], "ExternalImageId": "badge:1"}]


def test_of_people_without_a_user_who_were_merged_only_the_face_named_is_changed(
    rekognition: str, matcher_address: str, crew: str, photos: dict[str, dict[str, bytes]]
) -> None:
    names = ("obama", "obama2", "obama3", "biden")
    faces = [index(rekognition, crew, photos[name])["FaceId"] for name in names]
    with MatcherClient(matcher_address) as matcher:
        first, *others = [each.person_id for each in matcher.list_persons(collection_id=crew)]
        for other in others:
            matcher.merge_persons(other, first, collection_id=crew)
    user = {"CollectionId": crew, "UserId": "ann"}
    assert call(rekognition, "CreateUser", **user) == {}
    with_another = [faces[0], "no-face"]
    for name in ("DeleteFaces", "DisassociateFaces", "AssociateFaces"):
        parameters = {"FaceIds": with_another, **(user if name != "DeleteFaces" else {"CollectionId": crew})}
        assert refusal(rekognition, name, **parameters) == "InvalidParameterException"
    erased = call(rekognition, "DeleteFaces", CollectionId=crew, FaceIds=faces[:1])
    assert erased["DeletedFaces"] == faces[:1]
    done = call(rekognition, "AssociateFaces", FaceIds=faces[1:2], **user)
    assert done["AssociatedFaces"] == [{"FaceId": faces[1]}]
    assert [each["FaceId"] for each in call(rekognition, "ListFaces", **user)["Faces"]] == faces[1:2]
    done = call(rekognition, "AssociateFaces", FaceIds=faces[2:], UserMatchThreshold=0, **user)
    assert done["AssociatedFaces"] == [{"FaceId": each} for each in faces[2:]]
    with MatcherClient(matcher_address) as matcher:
        assert [each.person_id for each in matcher.list_persons(collection_id=crew)] == ["ann"]


def test_faces_become_a_users_and_are_found_and_kept_as_theirs(
    rekognition: str, crew: str, photos: dict[str, dict[str, bytes]]
) -> None:
    first, second, other = (
        index(rekognition, crew, photos[name], ExternalImageId=name)["FaceId"]
        for name in ("obama", "obama2", "biden")
    )
    user = {"CollectionId": crew, "UserId": "ann"}
    assert call(rekognition, "CreateUser", ClientRequestToken="a", **user) == {}
    assert refusal(rekognition, "CreateUser", **user) == "ConflictException"
    assert refusal(rekognition, "CreateUser", CollectionId=crew, UserId="~b") == "InvalidParameterException"
    users = {"Users": [{"UserId": "ann", "UserStatus": "CREATED"}]}
    assert call(rekognition, "ListUsers", CollectionId=crew) == users
    done = call(rekognition, "AssociateFaces", FaceIds=[first], **user)
    assert (done["AssociatedFaces"], done["UserStatus"]) == ([{"FaceId": first}], "ACTIVE")
    done = call(rekognition, "AssociateFaces", FaceIds=[first, second, other, NOBODY], **user)
    assert done["AssociatedFaces"] == [{"FaceId": second}]
    low, unknown = done["UnsuccessfulFaceAssociations"]
    assert (low["FaceId"], low["Reasons"]) == (other, ["LOW_MATCH_CONFIDENCE"])
    assert low["Confidence"] < 75
    assert unknown == {"FaceId": NOBODY, "Reasons": ["FACE_NOT_FOUND"]}
    nobody = {"CollectionId": crew, "UserId": "ben", "FaceIds": [other]}
    assert refusal(rekognition, "AssociateFaces", **nobody) == "ResourceNotFoundException"
    by_image = {"CollectionId": crew, "Image": photos["obama3"]}
    [match] = call(rekognition, "SearchFacesByImage", **by_image)["FaceMatches"]
    assert match["Face"] == {"FaceId": first, "UserId": "ann", "ExternalImageId": "obama"}
    [match] = call(rekognition, "SearchUsersByImage", **by_image)["UserMatches"]
    assert match["User"] == {"UserId": "ann", "UserStatus": "ACTIVE"}
    found = call(rekognition, "SearchUsersByImage", CollectionId=crew, Image=photos["biden"])
    assert found["UserMatches"] == []
    [match] = call(rekognition, "SearchUsers", CollectionId=crew, FaceId=second)["UserMatches"]
    assert match["Similarity"] == 100
    assert call(rekognition, "SearchUsers", **user)["UserMatches"] == []
    theirs = call(rekognition, "ListFaces", **user)["Faces"]
    assert {each["FaceId"] for each in theirs} == {first, second}
    erased = call(rekognition, "DeleteFaces", CollectionId=crew, FaceIds=[first, other, NOBODY])
    assert erased["DeletedFaces"] == [other]
    assert [each["Reasons"] for each in erased["UnsuccessfulFaceDeletions"]] == [
        ["ASSOCIATED_TO_AN_EXISTING_USER"],
        ["FACE_NOT_FOUND"],
    ]
    freed = call(rekognition, "DisassociateFaces", FaceIds=[first, NOBODY], **user)
    assert freed["DisassociatedFaces"] == [{"FaceId": first}]
    assert call(rekognition, "DisassociateFaces", FaceIds=[first], **user)["DisassociatedFaces"] == []
    assert call(rekognition, "DeleteUser", **user) == {}
    assert refusal(rekognition, "DeleteUser", **user) == "ResourceNotFoundException"
    kept = call(rekognition, "ListFaces", CollectionId=crew)["Faces"]
    expected = {first: "obama", second: "obama2"}
    assert {each["FaceId"]: each["ExternalImageId"] for each in kept} == expected
    found = call(rekognition, "SearchFacesByImage", **by_image)["FaceMatches"]
    assert {each["Face"]["FaceId"]: each["Face"]["ExternalImageId"] for each in found} == expected
    assert call(rekognition, "ListUsers", CollectionId=crew) == {"Users": []}


def side_by_side(*images: dict[str, bytes]) -> dict[str, bytes]:
    """One image of several, of which each is smaller than the one before."""
    found = [Image.open(io.BytesIO(image["Bytes"])) for image in images]
    sizes = [
        (each.width * height // each.height, height) for each, height in zip(found, (900, 700), strict=True)
    ]
    whole = Image.new("RGB", (sum(width for width, _ in sizes), 900))
    left = 0
    for each, size in zip(found, sizes, strict=True):
        whole.paste(each.resize(size), (left, 0))
        left += size[0]
    with io.BytesIO() as out:
        whole.save(out, "PNG")
        return {"Bytes": out.getvalue()}


def test_of_an_image_with_several_faces_each_is_indexed_and_compared_and_the_largest_searched(
    rekognition: str, crew: str, photos: dict[str, dict[str, bytes]]
) -> None:
    both = side_by_side(photos["obama"], photos["biden"])
    one = call(rekognition, "IndexFaces", CollectionId=crew, Image=both, MaxFaces=1)
    assert len(one["FaceRecords"]) == 1
    assert [each["Reasons"] for each in one["UnindexedFaces"]] == [["EXCEEDS_MAX_FACES"]]
    two = call(rekognition, "IndexFaces", CollectionId=crew, Image=both, ExternalImageId="both")
    obama, biden = (each["Face"]["FaceId"] for each in two["FaceRecords"])
    ids = {one["FaceRecords"][0]["Face"]["FaceId"], biden, obama}
    assert len(ids) == 3  # of another reference they are others
    found = call(rekognition, "SearchFacesByImage", CollectionId=crew, Image=both)["FaceMatches"]
    assert {each["Face"]["FaceId"] for each in found} == ids - {biden}
    found = call(rekognition, "SearchFacesByImage", CollectionId=crew, Image=photos["biden"])["FaceMatches"]
    assert [each["Face"]["FaceId"] for each in found] == [biden]
    pair = {"SourceImage": photos["obama2"], "TargetImage": both}
    compared = call(rekognition, "CompareFaces", **pair)
    [match], [unmatched] = compared["FaceMatches"], compared["UnmatchedFaces"]
    assert match["Face"]["BoundingBox"]["Left"] < 0.5 < unmatched["BoundingBox"]["Left"]


def test_faces_of_images_are_detected_and_compared(
    rekognition: str, matcher_address: str, photos: dict[str, dict[str, bytes]]
) -> None:
    [detail] = call(rekognition, "DetectFaces", Image=photos["obama"], Attributes=["ALL"])["FaceDetails"]
    assert set(detail) == {"BoundingBox", "Landmarks", "Quality"}
    box = detail["BoundingBox"]
    eyes = {each["Type"]: each["X"] for each in detail["Landmarks"]}
    assert box["Left"] < eyes["leftEyeLeft"] < eyes["leftEyeRight"] < eyes["rightEyeLeft"]
    assert eyes["rightEyeLeft"] < eyes["rightEyeRight"] < box["Left"] + box["Width"]
    pair = {"SourceImage": photos["obama"], "TargetImage": photos["obama2"]}
    compared = call(rekognition, "CompareFaces", **pair)
    assert compared["SourceImageFace"]["BoundingBox"] == box
    assert compared["UnmatchedFaces"] == []
    with MatcherClient(matcher_address) as matcher:
        expected = matcher.compare(photos["obama"]["Bytes"], photos["obama2"]["Bytes"])
    assert expected.distance is not None
    [match] = compared["FaceMatches"]
    assert match["Similarity"] == pytest.approx(percent_of(expected.distance, expected.threshold), abs=0.01)
    pair["TargetImage"] = photos["biden"]
    assert len(call(rekognition, "CompareFaces", **pair)["UnmatchedFaces"]) == 1
    assert len(call(rekognition, "CompareFaces", SimilarityThreshold=0, **pair)["FaceMatches"]) == 1
