"""What an access key may do is what its API key may, and answers are complete or refused."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.access.conftest import bearer, entry
from tests.e2e.gateway.rekognition.calling import call, refusal
from tests.e2e.gateway.rekognition.conftest import write_keys
from tests.e2e.matcher.requests import vectors
from tests.e2e.matcher.transfers import chunk, header, send
from tests.fixtures.gateway import StartGateway
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.vector_encoder import picture, vector_encoder

CREW = "crew"
ANN = vectors(1)[0]
SCORES = "scores = true\nencodings = true"
Address = Callable[..., str]


def image(vector: Any) -> dict[str, bytes]:
    return {"Bytes": picture(vector)}


def near(count: int) -> Any:
    """Vectors within 0.1 of ANN, of which none equals another."""
    return (ANN + 0.005 * vectors(count, seed=1)).astype(np.float32)


@pytest.fixture
async def locked(
    start_matcher: StartMatcher, database_url: str, tmp_path: Path
) -> AsyncIterator[tuple[RunningMatcher, str]]:
    """A matcher that takes keys, and the address of its encoder, for which images are vectors."""
    keys = tmp_path / "services.toml"
    entries = [
        entry("admin", "admin-key", ["admin"]),
        entry("search", "search-key", ["identify"], SCORES),
        entry("door", "door-key", ["identify", "enroll", "manage"], "encodings = true"),
        entry("tenant", "tenant-key", ["identify", "enroll", "manage"], f'{SCORES}\ncollections = ["staff"]'),
        entry("slow", "slow-key", ["identify"], f"{SCORES}\nprobes_per_second = 0.001\nburst = 1"),
    ]
    keys.write_text("".join(entries))
    async with vector_encoder() as encoder:
        yield await start_matcher(database_url, keys_file=keys, encoder_address=encoder), encoder


@pytest.fixture
def gateway(locked: tuple[RunningMatcher, str], start_gateway: StartGateway, tmp_path: Path) -> str:
    names = ("admin", "search", "door", "tenant", "slow", "unknown")
    keys = write_keys(tmp_path / "keys.toml", {name: f"{name}-key" for name in names})
    matcher, encoder = locked
    return start_gateway(encoder, matcher.address, "--rekognition-keys-file", str(keys)).address


def as_(name: str) -> dict[str, str]:
    return {"key": name, "secret": f"{name}-key"}


async def test_an_access_key_has_the_permissions_of_its_api_key(gateway: str) -> None:
    await asyncio.to_thread(_check_permissions, gateway)


def _check_permissions(gateway: str) -> None:
    crew = {"CollectionId": CREW}
    call(gateway, "CreateCollection", **crew, **as_("admin"))
    assert refusal(gateway, "CreateCollection", CollectionId="own", **as_("door")) == "AccessDeniedException"
    indexed = call(gateway, "IndexFaces", Image=image(ANN), ExternalImageId="a", **crew, **as_("door"))
    [record] = indexed["FaceRecords"]
    face_id = record["Face"]["FaceId"]
    assert (
        refusal(gateway, "IndexFaces", Image=image(ANN), **crew, **as_("search")) == "AccessDeniedException"
    )
    probe = {**crew, "Image": image(ANN)}
    [match] = call(gateway, "SearchFacesByImage", **probe, **as_("search"))["FaceMatches"]
    assert match == {"Similarity": 100, "Face": {"FaceId": face_id, "ExternalImageId": "a"}}
    for name in ("SearchFacesByImage", "SearchUsersByImage"):
        for threshold in ({}, {"FaceMatchThreshold" if "Faces" in name else "UserMatchThreshold": 0}):
            for body in (probe, {**crew, "Image": image(vectors(2)[1])}):  # whether or not it matches
                assert refusal(gateway, name, **body, **threshold, **as_("door")) == "AccessDeniedException"
    assert refusal(gateway, "SearchFaces", FaceId=face_id, **crew, **as_("door")) == "AccessDeniedException"
    assert refusal(gateway, "SearchFacesByImage", **probe, **as_("tenant")) == "AccessDeniedException"
    assert refusal(gateway, "ListFaces", **crew, **as_("tenant")) == "AccessDeniedException"
    assert refusal(gateway, "ListFaces", **crew, **as_("unknown")) == "UnrecognizedClientException"
    call(gateway, "SearchFacesByImage", **probe, **as_("slow"))
    limited = refusal(gateway, "SearchFacesByImage", **probe, **as_("slow"))
    assert limited == "ProvisionedThroughputExceededException"
    user = {**crew, "UserId": "ann", **as_("door")}
    call(gateway, "CreateUser", **user)
    call(gateway, "AssociateFaces", FaceIds=[face_id], **user)
    [match] = call(gateway, "SearchFacesByImage", **probe, **as_("search"))["FaceMatches"]
    assert match["Face"] == {"FaceId": face_id, "UserId": "ann"}  # faces are read with the role manage
    other = call(gateway, "IndexFaces", Image=image(near(1)[0]), **crew, **as_("door"))
    faces = {"FaceIds": [other["FaceRecords"][0]["Face"]["FaceId"]]}
    assert refusal(gateway, "AssociateFaces", **faces, **user) == "AccessDeniedException"
    done = call(gateway, "AssociateFaces", UserMatchThreshold=0, **faces, **user)
    assert [each["FaceId"] for each in done["AssociatedFaces"]] == faces["FaceIds"]
    assert call(gateway, "ListFaces", **crew, **as_("admin"))["Faces"] == sorted(
        [
            {"FaceId": face_id, "ExternalImageId": "a", "UserId": "ann"},
            {"FaceId": faces["FaceIds"][0], "UserId": "ann"},
        ],
        key=lambda face: face["FaceId"],
    )


async def test_more_matches_than_can_be_answered_are_refused_and_none_is_left_out(
    locked: tuple[RunningMatcher, str], gateway: str
) -> None:
    matcher, _ = locked
    await asyncio.to_thread(call, gateway, "CreateCollection", CollectionId=CREW, **as_("admin"))
    sent = header(collection_id=CREW), chunk(near(90), [f"~{number}" for number in range(90)])
    await send(matcher, *sent, metadata=bearer("admin-key"))
    far = (ANN + 0.2 * vectors(1, seed=2)[0]).astype(np.float32)[np.newaxis]  # behind all of those
    await send(matcher, header("user", collection_id=CREW), chunk(far, ["ann"]), metadata=bearer("admin-key"))
    await asyncio.to_thread(_check_many, gateway)
    sent = header("more", collection_id=CREW), chunk(near(20), [f"~more {number}" for number in range(20)])
    await send(matcher, *sent, metadata=bearer("admin-key"))
    await asyncio.to_thread(_check_too_many, gateway)


def _check_many(gateway: str) -> None:
    probe = {"CollectionId": CREW, "Image": image(ANN), **as_("search")}
    found = {
        count: call(gateway, "SearchFacesByImage", MaxFaces=count, **probe)["FaceMatches"]
        for count in (1, 50, 51, 4096)
    }
    assert {count: len(matches) for count, matches in found.items()} == {1: 1, 50: 50, 51: 51, 4096: 91}
    similarities = [each["Similarity"] for each in found[4096]]
    assert similarities == sorted(similarities, reverse=True)
    [match] = call(gateway, "SearchUsersByImage", **probe)["UserMatches"]
    assert match["User"]["UserId"] == "ann"
    assert call(gateway, "ListUsers", CollectionId=CREW, **as_("admin"))["Users"] == [
        {"UserId": "ann", "UserStatus": "ACTIVE"}
    ]
    page, users = {"NextToken": ""}, []
    while "NextToken" in page:
        page = call(
            gateway, "ListUsers", CollectionId=CREW, MaxResults=2, NextToken=page["NextToken"], **as_("admin")
        )
        users += page["Users"]
    assert [each["UserId"] for each in users] == ["ann"]


def _check_too_many(gateway: str) -> None:
    probe = {"CollectionId": CREW, "Image": image(ANN), **as_("search")}
    assert len(call(gateway, "SearchFacesByImage", MaxFaces=100, **probe)["FaceMatches"]) == 100
    assert refusal(gateway, "SearchFacesByImage", MaxFaces=101, **probe) == "InvalidParameterException"
    assert refusal(gateway, "SearchUsersByImage", **probe) == "InvalidParameterException"
