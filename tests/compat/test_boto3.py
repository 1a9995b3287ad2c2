"""boto3, unchanged, against the gateway: every call of Rekognition about faces, and botocore's signatures."""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from facerec.gateway.rekognition import signatures
from facerec.gateway.rekognition.site import OPERATIONS
from tests.e2e.gateway.rekognition.calling import ACCESS_KEY, SECRET
from tests.e2e.gateway.rekognition.conftest import write_keys
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.process import ROOT

PYTHON = os.environ.get("COMPAT_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="boto3 has an environment of its own: make test-compat")
WALK = Path(__file__).with_name("boto3_walk.py")
CREW_ARN = "arn:facerec:rekognition:::collection/crew"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def answers(
    encoder_address: str,
    matcher_address: str,
    sample_photos: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Any]]:
    """What boto3's calls return, or the name and message of their errors."""
    keys = write_keys(tmp_path_factory.mktemp("boto3") / "keys.toml", {ACCESS_KEY: SECRET})
    gateway = GatewayProcess(encoder_address, matcher_address, "--rekognition-keys-file", str(keys))
    try:
        program = [PYTHON, str(WALK), gateway.address, ACCESS_KEY, SECRET, str(sample_photos)]
        own = {"PATH": os.environ["PATH"]}  # nothing of facerec, nor another user's configuration of AWS
        done = subprocess.run(program, capture_output=True, text=True, check=False, env=own)
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)
    finally:
        gateway.stop()


def similar(answer: Any, kind: str = "FaceMatches") -> list[bool]:
    """Of each match, whether its similarity is at least 80."""
    return [match["Similarity"] >= 80 for match in answer[kind]]


def test_botocore_s_signatures_are_the_ones_expected(answers: dict[str, Any]) -> None:
    assert len(answers["signed"]) == 3
    for request in answers["signed"]:
        headers = signatures.joined(
            (name.encode(), value.encode("latin-1")) for name, value in request["headers"].items()
        )
        made = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        signature = signatures.read(headers, made)
        signature.check(SECRET, base64.b64decode(request["body"]))


def test_collections_and_faces_answer_as_boto3_s_users_read_them(answers: dict[str, Any]) -> None:
    first, second, other = answers["ids"]
    created = answers["CreateCollection"]
    assert (created["StatusCode"], created["CollectionArn"]) == (200, CREW_ARN)
    assert {"crew", "default"} <= set(answers["ListCollections, paged"])
    assert answers["DescribeCollection"]["CreationTimestamp"].startswith("20")
    again = answers["IndexFaces again"]["FaceRecords"][0]["Face"]
    assert (again["FaceId"], again["ExternalImageId"]) == (first, "badge:1")
    assert set(answers["IndexFaces obama"]) == {"FaceRecords", "UnindexedFaces", "FaceModelVersion"}
    strict = answers["IndexFaces of high quality"]
    assert len(strict["FaceRecords"]) + len(strict["UnindexedFaces"]) == 1
    assert {each["FaceId"] for each in answers["ListFaces, paged"]} == {first, second, other}
    assert answers["ListFaces by ids"]["Faces"] == [{"FaceId": first, "ExternalImageId": "badge:1"}]
    assert len(answers["DetectFaces"]["FaceDetails"]) == 1
    assert similar(answers["SearchFaces"]) == [True]
    found = {percent: answers[f"SearchFacesByImage {percent}"] for percent in (0, 80, 90, 99, 100)}
    assert [len(answer["FaceMatches"]) for answer in found.values()] == [3, 2, 2, 1, 0]
    assert similar(found[0]) == [True, True, False]
    assert similar(answers["SearchFacesByImage for one"]) == [True]
    assert similar(answers["CompareFaces"]) == [True]
    assert answers["CompareFaces of two"]["FaceMatches"] == []
    assert similar(answers["CompareFaces of two at 0"]) == [False]
    assert answers["DeleteCollection"] == {"StatusCode": 200}


def test_users_answer_as_boto3_s_users_read_them(answers: dict[str, Any]) -> None:
    first, second, other = answers["ids"]
    ann = {"UserId": "ann", "UserStatus": "ACTIVE"}
    assert answers["CreateUser"] == {}
    assert answers["ListUsers"]["Users"] == [{"UserId": "ann", "UserStatus": "CREATED"}]
    assert answers["ListUsers with faces"]["Users"] == [ann]
    assert answers["AssociateFaces"]["AssociatedFaces"] == [{"FaceId": first}]
    others = answers["AssociateFaces of others"]
    assert others["AssociatedFaces"] == [{"FaceId": second}]
    assert [(each["FaceId"], each["Reasons"]) for each in others["UnsuccessfulFaceAssociations"]] == [
        (other, ["LOW_MATCH_CONFIDENCE"]),
        (NOBODY, ["FACE_NOT_FOUND"]),
    ]
    [match] = answers["SearchFacesByImage with a user"]["FaceMatches"]
    assert match["Face"] == {"FaceId": first, "UserId": "ann", "ExternalImageId": "badge:1"}
    for name in ("SearchUsers by face", "SearchUsersByImage"):
        assert [each["User"] for each in answers[name]["UserMatches"]] == [ann], name
    for name in ("SearchUsers by user", "SearchUsersByImage of another"):
        assert answers[name]["UserMatches"] == [], name
    assert answers["SearchUsersByImage 99.9"]["UserMatches"] == []
    assert answers["AssociateFaces at 0"]["AssociatedFaces"] == []  # it is theirs
    assert answers["ListUsers, paged"] == [ann]
    assert answers["DeleteFaces"]["DeletedFaces"] == [other]
    assert answers["DisassociateFaces"]["DisassociatedFaces"] == [{"FaceId": first}]
    assert answers["DisassociateFaces again"]["DisassociatedFaces"] == []
    assert answers["DeleteUser"] == {}
    assert {each["FaceId"] for each in answers["ListFaces at the end"]["Faces"]} == {first, second}
    assert answers["ListUsers at the end"]["Users"] == []


ERRORS = {
    "CreateCollection again": "ResourceAlreadyExistsException",
    "CreateCollection of a form that is not offered": "InvalidParameterException",
    "CreateCollection with tags": "InvalidParameterException",
    "ListCollections with a bad token": "InvalidPaginationTokenException",
    "DescribeCollection of none": "ResourceNotFoundException",
    "IndexFaces from S3": "InvalidS3ObjectException",
    "IndexFaces of no image": "InvalidImageFormatException",
    "IndexFaces of no collection": "ResourceNotFoundException",
    "ListFaces with a bad token": "InvalidPaginationTokenException",
    "SearchFaces of no face": "InvalidParameterException",
    "SearchUsers by nothing": "InvalidParameterException",
    "CreateUser again": "ConflictException",
    "CreateUser of no collection": "ResourceNotFoundException",
    "CreateUser of a reserved name": "InvalidParameterException",
    "AssociateFaces to nobody": "ResourceNotFoundException",
    "DeleteUser again": "ResourceNotFoundException",
    "DeleteCollection again": "ResourceNotFoundException",
    "a wrong secret": "InvalidSignatureException",
    "an unknown access key": "UnrecognizedClientException",
    "a call that is not offered": "UnknownOperationException",
}


def test_the_guide_says_of_every_parameter_and_member_what_is_made_of_it(answers: dict[str, Any]) -> None:
    guide = (ROOT / "docs" / "rekognition.md").read_text()
    lines = [line for line in reversed(guide.splitlines()) if line.startswith("| ")]
    rows = {line.split("|")[1].strip(): line for line in lines}  # the first of each name
    for call in OPERATIONS:
        parameters, members = answers["members"][call]
        left_out = {
            "OrientationCorrection",
            "SourceImageOrientationCorrection",
            "TargetImageOrientationCorrection",
        }
        named = {*parameters, *members} - left_out
        assert {name for name in named if not re.search(rf"\b{name}s?\b", rows[call])} == set(), call


def test_errors_have_the_names_that_boto3_s_users_catch(answers: dict[str, Any]) -> None:
    failed = {name: answer for name, answer in answers.items() if "error" in answer}
    assert {name: answer["error"] for name, answer in failed.items()} == ERRORS
    assert all(answer["message"] for answer in failed.values())
