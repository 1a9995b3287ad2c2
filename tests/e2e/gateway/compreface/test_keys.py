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
from tests.fixtures.gateway import GatewayProcess, StartGateway
from tests.fixtures.matcher import StartMatcher

ROLES = ("encode", "verify", "identify", "enroll", "manage")
SUBJECTS = f"{RECOGNITION}/subjects"


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Keys by their rights: `app` has those of CompreFace's keys, `blind` sees no distances."""
    path = tmp_path / "keys.toml"
    path.write_text(
        entry("admin", "admin", ["admin"])
        + entry("app", "app", ROLES, "scores = true\nencodings = true")
        + entry("photos", "photos", ROLES, "scores = true")
        + entry("blind", "blind", ROLES)
        + entry("door", "door", ["identify"])
        + entry("staff", "staff", ROLES, 'collections = ["staff"]')
        + entry("gone", "gone", ROLES, 'collections = ["gone"]')
        + entry("two", "two", ROLES, 'collections = ["gone", "staff"]')
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
    async with AsyncCollectionClient(matcher.address, security=Security(api_key="admin")) as collections:
        await collections.create_collection("staff")
    gateway = start_gateway(encoder_address, matcher.address, "--compreface-paths")
    await asyncio.to_thread(_check_rights, gateway)
    await asyncio.to_thread(_check_answers, gateway, photos)
    assert gateway.stop() == 0
    log = "".join(gateway.lines)
    assert "Identify" in log
    assert not any(secret in log for secret in ("blind", "ann-", "similarity", "api/v1"))


def _check_rights(gateway: GatewayProcess) -> None:
    for headers in ({}, {"x-api-key": ""}, {"authorization": "Bearer app"}):
        assert refusal(http.send(gateway.address, "GET", SUBJECTS, None, headers)) == (400, 20)
    for key in ("unknown", "app app", "Bearer app"):
        assert refusal(ask(gateway, key, "GET", SUBJECTS)) == (404, 10)
    assert refusal(ask(gateway, "door", "GET", SUBJECTS)) == (403, 1)
    assert ask(gateway, "staff", "POST", SUBJECTS, {"subject": "cleaner"}).status == 201
    assert ask(gateway, "staff", "GET", SUBJECTS).json == {"subjects": ["cleaner"]}
    assert ask(gateway, "app", "GET", SUBJECTS).json == {"subjects": []}
    assert refusal(ask(gateway, "two", "DELETE", SUBJECTS)) == (403, 1)
    assert refusal(ask(gateway, "gone", "GET", SUBJECTS)) == (404, 10)


def _check_answers(gateway: GatewayProcess, photos: Mapping[str, bytes]) -> None:
    examples = {
        subject: upload(gateway, "app", f"{RECOGNITION}/faces?subject={subject}", file=photos[photo]).json
        for subject, photo in (("ann-1", "obama"), ("ann-2", "obama2"), ("bob", "biden"))
    }
    path = f"{RECOGNITION}/recognize"
    assert refusal(upload(gateway, "blind", path, file=photos["obama3"])) == (400, 36)
    [both] = upload(gateway, "blind", f"{path}?prediction_count=2", file=photos["obama3"]).json["result"]
    assert both["subjects"] == [
        {"subject": "ann-1", "similarity": 1.0},
        {"subject": "ann-2", "similarity": 1.0},
    ]
    assert ask(gateway, "app", "DELETE", f"{SUBJECTS}/bob").status == 200
    [unenrolled] = upload(gateway, "blind", path, file=photos["biden"]).json["result"]
    assert unenrolled["subjects"] == []
    for target, similarity in (("obama2", 1.0), ("biden", 0.0)):
        files = {"source_image": photos["obama"], "target_image": photos[target]}
        answer = upload(gateway, "blind", "/api/v1/verification/verify", **files).json["result"][0]
        assert [face["similarity"] for face in answer["face_matches"]] == [similarity]
    image_id = examples["ann-1"]["image_id"]
    example = f"{RECOGNITION}/faces/{image_id}/verify"
    assert refusal(upload(gateway, "blind", example, file=photos["obama"])) == (403, 1)
    vectors = {"embeddings": [[0.1] * 128]}
    for path in ("embeddings/recognize", f"embeddings/faces/{image_id}/verify"):
        for key in ("blind", "photos"):
            assert refusal(ask(gateway, key, "POST", f"{RECOGNITION}/{path}", vectors)) == (403, 1)
    _check_photos(gateway, photos, example)


def _check_photos(gateway: GatewayProcess, photos: Mapping[str, bytes], example: str) -> None:
    """A key that may send no vectors gets the answers of one that may, but for smaller faces' comparisons."""
    recognized, compared, verified = (
        [found for key in ("photos", "app") for found in upload(gateway, key, path, **files).json["result"]]
        for path, files in (
            (f"{RECOGNITION}/recognize", {"file": photos["both"]}),
            (example, {"file": photos["obama2"]}),
            (
                "/api/v1/verification/verify",
                {"source_image": photos["obama"], "target_image": photos["obama2"]},
            ),
        )
    )
    assert [_similarities(face["subjects"]) for face in recognized[:2]] == [
        _similarities(face["subjects"]) for face in recognized[2:]
    ]
    assert recognized[1]["subjects"][0]["similarity"] < 0.5 < recognized[0]["subjects"][0]["similarity"]
    assert _similarities(compared[:1]) == _similarities(compared[1:])
    assert _similarities(verified[0]["face_matches"]) == _similarities(verified[1]["face_matches"])
    files = {"source_image": photos["obama"], "target_image": photos["both"]}
    for path, sent in (("/api/v1/verification/verify", files), (example, {"file": photos["both"]})):
        assert refusal(upload(gateway, "photos", path, **sent)) == (403, 1)
        assert len(upload(gateway, "app", path, **sent).json["result"]) > 0


def _similarities(found: list[dict[str, Any]]) -> list[float]:
    return [round(each["similarity"], 3) for each in found]
