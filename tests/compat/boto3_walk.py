"""Calls a gateway with boto3, unchanged, and prints what each call answers.

Its arguments are HOST:PORT, an access key, its secret and a folder of photos.

It runs in an environment of its own, which has boto3 and nothing of facerec.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-not-found]
from botocore.auth import SigV4Auth  # type: ignore[import-not-found]
from botocore.awsrequest import AWSRequest  # type: ignore[import-not-found]
from botocore.config import Config  # type: ignore[import-not-found]
from botocore.credentials import Credentials  # type: ignore[import-not-found]
from botocore.exceptions import ClientError  # type: ignore[import-not-found]

ADDRESS, ACCESS_KEY, SECRET, FOLDER = sys.argv[1:5]
NOBODY = "00000000-0000-4000-8000-000000000000"
CREW = "crew"
answers: dict[str, Any] = {}


def client(secret: str = SECRET, key: str = ACCESS_KEY) -> Any:
    return boto3.client(
        "rekognition",
        endpoint_url=f"http://{ADDRESS}",
        region_name="eu-central-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


aws = client()


def record(name: str, call: str, using: Any = aws, **parameters: Any) -> Any:
    """Make a call, and keep its answer or error under a name."""
    try:
        answer = getattr(using, call)(**parameters)
        assert answer["ResponseMetadata"]["RequestId"]
        answer.pop("ResponseMetadata")
    except ClientError as error:
        answer = {"error": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    answers[name] = answer
    return answer


def photo(name: str) -> dict[str, bytes]:
    return {"Bytes": Path(FOLDER, f"{name}.jpg").read_bytes()}


def index(name: str, **parameters: Any) -> str:
    answer = record(f"IndexFaces {name}", "index_faces", CollectionId=CREW, Image=photo(name), **parameters)
    return answer["FaceRecords"][0]["Face"]["FaceId"]  # type: ignore[no-any-return]


def collections() -> None:
    record("CreateCollection", "create_collection", CollectionId=CREW)
    record("CreateCollection again", "create_collection", CollectionId=CREW)
    record("CreateCollection of a form that is not offered", "create_collection", CollectionId="Crew.1")
    record("CreateCollection with tags", "create_collection", CollectionId="tagged", Tags={"a": "b"})
    for page in aws.get_paginator("list_collections").paginate(PaginationConfig={"PageSize": 1}):
        answers.setdefault("ListCollections, paged", []).extend(page["CollectionIds"])
    record("ListCollections with a bad token", "list_collections", NextToken="bad")
    record("DescribeCollection", "describe_collection", CollectionId=CREW)
    record("DescribeCollection of none", "describe_collection", CollectionId="none")


def faces() -> tuple[str, str, str]:
    ids = index("obama", ExternalImageId="badge:1"), index("obama2"), index("biden", MaxFaces=1)
    record(
        "IndexFaces again", "index_faces", CollectionId=CREW, Image=photo("obama"), ExternalImageId="badge:1"
    )
    s3 = {"S3Object": {"Bucket": "photos", "Name": "obama.jpg"}}
    record("IndexFaces from S3", "index_faces", CollectionId=CREW, Image=s3)
    record("IndexFaces of no image", "index_faces", CollectionId=CREW, Image={"Bytes": b"no image"})
    record("IndexFaces of no collection", "index_faces", CollectionId="none", Image=photo("obama"))
    strict: dict[str, Any] = {"QualityFilter": "HIGH", "DetectionAttributes": ["ALL"]}
    record("IndexFaces of high quality", "index_faces", CollectionId=CREW, Image=photo("obama3"), **strict)
    for each in answers["IndexFaces of high quality"]["FaceRecords"]:
        aws.delete_faces(CollectionId=CREW, FaceIds=[each["Face"]["FaceId"]])
    listed = []
    for page in aws.get_paginator("list_faces").paginate(CollectionId=CREW, PaginationConfig={"PageSize": 2}):
        listed += page["Faces"]
    answers["ListFaces, paged"] = listed
    record("ListFaces by ids", "list_faces", CollectionId=CREW, FaceIds=[ids[0], NOBODY])
    record("ListFaces with a bad token", "list_faces", CollectionId=CREW, NextToken="bad")
    record("DetectFaces", "detect_faces", Image=photo("obama"), Attributes=["ALL"])
    return ids


def searches(first: str) -> None:
    record("SearchFaces", "search_faces", CollectionId=CREW, FaceId=first)
    record("SearchFaces of no face", "search_faces", CollectionId=CREW, FaceId=NOBODY)
    for percent in (0, 80, 90, 99, 100):
        name = f"SearchFacesByImage {percent}"
        by: dict[str, Any] = {"FaceMatchThreshold": percent, "MaxFaces": 4096}
        record(name, "search_faces_by_image", CollectionId=CREW, Image=photo("obama3"), **by)
    one: dict[str, Any] = {"MaxFaces": 1, "QualityFilter": "AUTO"}
    record(
        "SearchFacesByImage for one", "search_faces_by_image", CollectionId=CREW, Image=photo("obama3"), **one
    )
    record("CompareFaces", "compare_faces", SourceImage=photo("obama"), TargetImage=photo("obama2"))
    record("CompareFaces of two", "compare_faces", SourceImage=photo("obama"), TargetImage=photo("biden"))
    loose: dict[str, Any] = {"SimilarityThreshold": 0, "QualityFilter": "NONE"}
    images = {"SourceImage": photo("obama"), "TargetImage": photo("biden")}
    record("CompareFaces of two at 0", "compare_faces", **images, **loose)


def users(first: str, second: str, other: str) -> None:
    ann: dict[str, Any] = {"CollectionId": CREW, "UserId": "ann"}
    record("CreateUser", "create_user", **ann)
    record("CreateUser again", "create_user", **ann)
    record("CreateUser of no collection", "create_user", CollectionId="none", UserId="ann")
    record("CreateUser of a reserved name", "create_user", CollectionId=CREW, UserId="~ann")
    record("ListUsers", "list_users", CollectionId=CREW)
    record("AssociateFaces", "associate_faces", FaceIds=[first], **ann)
    record("AssociateFaces of others", "associate_faces", FaceIds=[first, second, other, NOBODY], **ann)
    record("AssociateFaces to nobody", "associate_faces", CollectionId=CREW, UserId="ben", FaceIds=[other])
    record("ListUsers with faces", "list_users", CollectionId=CREW, MaxResults=1)
    record("ListFaces of a user", "list_faces", CollectionId=CREW, UserId="ann")
    record(
        "SearchFacesByImage with a user", "search_faces_by_image", CollectionId=CREW, Image=photo("obama3")
    )
    record("SearchUsers by face", "search_users", CollectionId=CREW, FaceId=second)
    record("SearchUsers by user", "search_users", UserMatchThreshold=0, MaxUsers=5, **ann)
    record("SearchUsers by nothing", "search_users", CollectionId=CREW)
    record("SearchUsersByImage", "search_users_by_image", CollectionId=CREW, Image=photo("obama3"))
    record("SearchUsersByImage of another", "search_users_by_image", CollectionId=CREW, Image=photo("biden"))
    strict: dict[str, Any] = {"UserMatchThreshold": 99.9, "MaxUsers": 500, "QualityFilter": "MEDIUM"}
    record(
        "SearchUsersByImage 99.9", "search_users_by_image", CollectionId=CREW, Image=photo("obama3"), **strict
    )
    record("AssociateFaces at 0", "associate_faces", FaceIds=[second], UserMatchThreshold=0, **ann)
    for page in aws.get_paginator("list_users").paginate(CollectionId=CREW, PaginationConfig={"PageSize": 1}):
        answers.setdefault("ListUsers, paged", []).extend(page["Users"])
    record("DeleteFaces", "delete_faces", CollectionId=CREW, FaceIds=[first, other, NOBODY])
    record("DisassociateFaces", "disassociate_faces", FaceIds=[first, NOBODY], **ann)
    record("DisassociateFaces again", "disassociate_faces", FaceIds=[first], **ann)
    record("DeleteUser", "delete_user", **ann)
    record("DeleteUser again", "delete_user", **ann)
    record("ListFaces at the end", "list_faces", CollectionId=CREW)
    record("ListUsers at the end", "list_users", CollectionId=CREW)
    record("DeleteCollection", "delete_collection", CollectionId=CREW)
    record("DeleteCollection again", "delete_collection", CollectionId=CREW)


def refusals() -> None:
    record("a wrong secret", "list_collections", client("not the secret"))
    record("an unknown access key", "list_collections", client(key="AKIAUNKNOWN"))
    record("a call that is not offered", "detect_labels", Image=photo("obama"))


def signed() -> list[dict[str, Any]]:
    """Requests with odd headers and bodies, as botocore signs them."""
    made = []
    for headers, body in (
        ({}, b""),
        ({"X-Amz-Target": "RekognitionService.ListFaces", "X-Odd": "  two   blanks "}, b'{"a": "\xc3\xa9"}'),
        ({"X-Amz-Target": "RekognitionService.X", "X-Amz-Other": "1", "Accept": "a,b"}, bytes(range(256))),
    ):
        request = AWSRequest("POST", f"http://{ADDRESS}/", headers=headers, data=body)
        SigV4Auth(Credentials(ACCESS_KEY, SECRET), "rekognition", "us-east-1").add_auth(request)
        listed = {"Host": ADDRESS, **dict(request.headers.items())}
        made.append({"headers": listed, "body": base64.b64encode(body).decode()})
    return made


def members() -> dict[str, Any]:
    """The parameters and the answer's members of each call, by the model that boto3 has."""
    calls = (aws.meta.service_model.operation_model(name) for name in aws.meta.service_model.operation_names)
    return {each.name: [list(each.input_shape.members), list(each.output_shape.members)] for each in calls}


collections()
ids = faces()
searches(ids[0])
users(*ids)
refusals()
answers["ids"], answers["signed"], answers["members"] = ids, signed(), members()
print(json.dumps(answers, default=str))
