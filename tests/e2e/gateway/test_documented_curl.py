"""The curl lines of README.md and docs/http.md run as they are written."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.process import ROOT

DEFAULT = "127.0.0.1:8080"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


def blocks(page: str) -> list[str]:
    """The blocks of a page's shell that call the gateway."""
    found = re.findall(r"^```sh\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in found if "curl" in block and DEFAULT in block]


def answers(block: str, gateway: str, folder: Path, photos: Path) -> list[Any]:
    """What each call of a block answered."""
    (folder / ".cache").mkdir(exist_ok=True)
    if not (folder / ".cache" / "samples").exists():
        (folder / ".cache" / "samples").symlink_to(photos)
    script = "A=.cache/samples/obama.jpg B=.cache/samples/obama2.jpg\n" + block.replace(DEFAULT, gateway)
    script = re.sub(r"\bcurl ", "curl -sS --fail-with-body ", script)
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
    decoder, text, found = json.JSONDecoder(), done.stdout, []
    while text:
        answer, end = decoder.raw_decode(text)
        found.append(answer)
        assert text[end:].startswith("\n"), "the next prompt would stick to the answer"
        text = text[end:].lstrip()
    return found


@needs_curl
def test_the_readme_enrolls_verifies_and_identifies(
    gateway: str, tmp_path: Path, sample_photos: Path
) -> None:
    [block] = blocks("README.md")
    enrolled, verified, identified = answers(block, gateway, tmp_path, sample_photos)
    assert len(enrolled["faces"]) == 1
    assert verified["match"] is True
    assert identified["faces"][0]["candidates"][0]["personId"] == "obama"


@needs_curl
def test_the_guide_s_examples_run_in_its_order_and_again(
    gateway: str, tmp_path: Path, sample_photos: Path
) -> None:
    for _ in range(2):
        follow_the_guide(gateway, tmp_path, sample_photos)


def follow_the_guide(gateway: str, tmp_path: Path, sample_photos: Path) -> None:
    forms, more, in_base64, people, connect = blocks("docs/http.md")
    enrolled, verified, identified, compared, encoded, detected = answers(
        forms, gateway, tmp_path, sample_photos
    )
    assert len(enrolled["faces"]) == 2
    assert verified["match"] is compared["match"] is True
    assert len(identified["faces"][0]["candidates"]) == len(encoded["faces"]) == len(detected["faces"]) == 1
    _, verified, filtered, one_face, compared, alike = answers(more, gateway, tmp_path, sample_photos)
    assert (verified["match"], verified["labels"], compared["match"]) == (True, {"site": "paris"}, True)
    for found in (filtered, one_face):
        [face] = found["faces"]
        assert [(each["personId"], each["labels"]) for each in face["candidates"]] == [("obama", {})]
    assert "obama" not in [each["personId"] for each in alike["faces"][0]["candidates"]]
    [claimed] = answers(in_base64, gateway, tmp_path, sample_photos)
    assert claimed["match"] is True
    listed, changed, cleared, renamed, faces, several, events, created, deleted, again = answers(
        people, gateway, tmp_path, sample_photos
    )
    assert {"obama"} <= {each["personId"] for each in listed["persons"]}
    shown = [answer["person"] for answer in (changed, cleared, renamed)]
    assert [(each["displayName"], each["suspended"]) for each in shown] == [
        ("Barack Obama", True),
        ("", False),
        ("", False),
    ]
    assert [each["personId"] for each in several["persons"]] == ["potus-44"]
    assert {each["personId"] for each in faces["faces"]} == {"potus-44"}
    assert events["events"][0]["action"] == "AUDIT_ACTION_RENAME_PERSON"
    assert created["collection"]["collectionId"] == "doors"
    assert (deleted["collectionsDeleted"], again["person"]["personId"]) == (1, "obama")
    persons, suspended, moved, duplicates, erased = answers(connect, gateway, tmp_path, sample_photos)
    assert persons["persons"]
    assert suspended["person"]["suspended"] is True
    assert (moved["person"]["personId"], moved["facesMoved"]) == ("barack", 1)
    assert "pairs" in duplicates
    assert erased["personsDeleted"] == 2
