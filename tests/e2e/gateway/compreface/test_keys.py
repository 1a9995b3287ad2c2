"""Keys over CompreFace's paths: the services' rights hold, and without scores no distance is answered."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from facerec.client import AsyncCollectionClient, Security
from tests.e2e.access.conftest import entry
from tests.e2e.gateway import http
from tests.e2e.gateway.compreface.calling import RECOGNITION, refusal
from tests.e2e.gateway.conftest import GatewayProcess, StartGateway
from tests.fixtures.matcher import StartMatcher

ROLES = ("verify", "identify", "enroll", "manage")
SUBJECTS = f"{RECOGNITION}/subjects"


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """`all` may do what CompreFace's keys may, `blind` sees no distances, `door` and `staff` may do less."""
    path = tmp_path / "keys.toml"
    path.write_text(
        entry("all", "all", ["admin"], "encodings = true")
        + entry("blind", "blind", ROLES)
        + entry("door", "door", ["identify"])
        + entry("staff", "staff", ROLES, 'collections = ["staff"]\nscores = true')
    )
    return path


def ask(gateway: GatewayProcess, key: str, verb: str, path: str, document: Any = None) -> http.Answer:
    body = None if document is None else json.dumps(document).encode()
    return http.send(gateway.address, verb, path, body, {"x-api-key": key, **http.JSON})


def upload(gateway: GatewayProcess, key: str, path: str, **files: bytes) -> http.Answer:
    return http.post_form(gateway.address, path, list(files.items()), {"x-api-key": key})


async def test_keys_hold_and_without_scores_a_similarity_says_match_or_no_match(
    start_matcher: StartMatcher,
    database_url: str,
    encoder_address: str,
    *,
    keys_file: Path,
    start_gateway: StartGateway,
    photos: dict[str, bytes],
) -> None:
    matcher = await start_matcher(database_url, keys_file=keys_file, encoder_address=encoder_address)
    async with AsyncCollectionClient(matcher.address, security=Security(api_key="all")) as collections:
        await collections.create_collection("staff")
    gateway = start_gateway(encoder_address, matcher.address, "--compreface-paths")
    await asyncio.to_thread(_check_rights, gateway)
    await asyncio.to_thread(_check_answers, gateway, photos)
    assert gateway.stop() == 0
    log = "".join(gateway.lines)
    assert "Identify" in log
    assert not any(secret in log for secret in ("blind", "ann-", "similarity", "api/v1"))


def _check_rights(gateway: GatewayProcess) -> None:
    for headers in ({}, {"x-api-key": ""}, {"authorization": "Bearer all"}):
        assert refusal(http.send(gateway.address, "GET", SUBJECTS, None, headers)) == (400, 20)
    for key in ("unknown", "staff:", "ä", "Staff:staff"):
        assert refusal(ask(gateway, key.encode().decode("latin-1"), "GET", SUBJECTS))[1] in (10, 20), key
    assert refusal(ask(gateway, "door", "GET", SUBJECTS)) == (403, 1)
    assert refusal(ask(gateway, "staff", "GET", SUBJECTS)) == (403, 1)
    assert refusal(ask(gateway, "staff:door", "DELETE", SUBJECTS)) == (403, 1)
    assert refusal(ask(gateway, "nowhere:all", "GET", SUBJECTS)) == (404, 10)
    assert ask(gateway, "staff:staff", "POST", SUBJECTS, {"subject": "cleaner"}).status == 201
    assert ask(gateway, "staff:all", "GET", SUBJECTS).json == {"subjects": ["cleaner"]}
    assert ask(gateway, "all", "GET", SUBJECTS).json == {"subjects": []}
    other = ask(gateway, "all", "GET", f"{SUBJECTS}?x=1")
    assert other.headers["cache-control"] == "no-store"


def _check_answers(gateway: GatewayProcess, photos: Mapping[str, bytes]) -> None:
    examples = {
        subject: upload(gateway, "all", f"{RECOGNITION}/faces?subject={subject}", file=photos[photo]).json
        for subject, photo in (("ann-1", "obama"), ("ann-2", "obama2"), ("bob", "biden"))
    }
    path = f"{RECOGNITION}/recognize"
    assert refusal(upload(gateway, "blind", path, file=photos["obama3"])) == (400, 36)
    [both] = upload(gateway, "blind", f"{path}?prediction_count=2", file=photos["obama3"]).json["result"]
    assert both["subjects"] == [
        {"subject": "ann-1", "similarity": 1.0},
        {"subject": "ann-2", "similarity": 1.0},
    ]
    assert ask(gateway, "all", "DELETE", f"{SUBJECTS}/bob").status == 200
    [unenrolled] = upload(gateway, "blind", path, file=photos["biden"]).json["result"]
    assert unenrolled["subjects"] == []
    [seen] = upload(gateway, "all", path, file=photos["biden"]).json["result"]
    assert 0 < seen["subjects"][0]["similarity"] < 0.5
    for target, similarity in (("obama2", 1.0), ("biden", 0.0)):
        files = {"source_image": photos["obama"], "target_image": photos[target]}
        answer = upload(gateway, "blind", "/api/v1/verification/verify", **files).json["result"][0]
        assert [face["similarity"] for face in answer["face_matches"]] == [similarity]
    files = {"source_image": photos["obama"], "target_image": photos["both"]}
    assert refusal(upload(gateway, "blind", "/api/v1/verification/verify", **files)) == (403, 1)
    image_id = examples["ann-1"]["image_id"]
    example = f"{RECOGNITION}/faces/{image_id}/verify"
    assert refusal(upload(gateway, "blind", example, file=photos["obama"])) == (403, 1)
    vectors = {"embeddings": [[0.1] * 128]}
    for path in ("embeddings/recognize", f"embeddings/faces/{image_id}/verify"):
        assert refusal(ask(gateway, "blind", "POST", f"{RECOGNITION}/{path}", vectors)) == (403, 1)
