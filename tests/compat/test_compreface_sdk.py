"""CompreFace's own Python SDK, unchanged, against the gateway: every call that it has."""

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facerec.client import CollectionClient
from tests.fixtures.gateway import GatewayProcess

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def answers(encoder_address: str, matcher_address: str, sample_photos: Path) -> Iterator[dict[str, Any]]:
    """What the SDK's calls return."""
    python = os.environ.get("COMPAT_PYTHON")
    if not python:
        pytest.skip("CompreFace's SDK has an environment of its own: make test-compat")
    collection = f"sdk-{uuid.uuid4().hex[:8]}"
    with CollectionClient(matcher_address) as collections:
        collections.create_collection(collection)
    flags = ("--compreface-paths", "--compreface-collection", collection)
    gateway = GatewayProcess(encoder_address, matcher_address, *flags)
    try:
        program = [python, str(HERE / "compreface_walk.py"), *gateway.address.split(":"), str(sample_photos)]
        done = subprocess.run(
            program, capture_output=True, text=True, check=False, env={"PATH": os.environ["PATH"]}
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)
    finally:
        gateway.stop()


def test_the_sdk_s_calls_answer_as_its_users_read_them(answers: dict[str, Any]) -> None:
    barack, joe = answers["face_collection.add"], answers["face_collection.add bytes"]
    assert answers["subjects.add"] == {"subject": "Barack Obama"}
    assert answers["subjects.add again"]["code"] == 43
    assert (barack["subject"], joe["subject"]) == ("Barack Obama", "Jöe Biden/46")
    assert answers["face_collection.add no photo"]["code"] == 21
    assert answers["face_collection.list"] == {
        "faces": [barack, joe],
        "page_number": 0,
        "page_size": 20,
        "total_pages": 1,
        "total_elements": 2,
    }
    assert answers["subjects.list"] == {"subjects": ["Barack Obama", "Jöe Biden/46"]}
    [face] = answers["recognition.recognize"]["result"]
    [found] = face["subjects"]
    assert found["subject"] == "Barack Obama"
    assert found["similarity"] > 0.5
    assert len(face["embedding"]) == 128
    assert set(answers["recognition.recognize"]["plugins_versions"]) == {"detector", "calculator"}
    [plain] = answers["recognition.recognize plain"]["result"]
    assert plain == {"box": face["box"], "subjects": face["subjects"]}
    [verified] = answers["face_collection.verify"]["result"]
    assert (verified["subject"], verified["similarity"] > 0.5) == ("Barack Obama", True)
    [detected] = answers["detection.detect"]["result"]
    assert (detected["box"], detected["embedding"]) == (face["box"], face["embedding"])
    for name, is_match in (("verification.verify", True), ("verification.verify other", False)):
        [pair] = answers[name]["result"]
        assert [each["similarity"] > 0.5 for each in pair["face_matches"]] == [is_match], name


def test_the_sdk_s_changes_are_made_and_those_of_nothing_are_refused(answers: dict[str, Any]) -> None:
    assert answers["subjects.update"] == {"updated": True}
    assert answers["face_collection.delete"] == answers["face_collection.add"]
    assert answers["face_collection.delete again"]["code"] == 44
    assert answers["face_collection.delete_all"] == {"deleted": 1}
    assert answers["subjects.delete"] == {"subject": "Barack Obama"}
    assert answers["subjects.delete again"]["code"] == 42
    assert answers["subjects.list at the end"] == {"subjects": []}
