"""Files that other systems wrote are read with the space of their vectors, or refused with their model."""

import json
import pickle
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec.contract import DEFAULT_SPACE
from facerec.sources import deepface, files, spaces
from facerec.sources.budget import MAX_FACE_BYTES
from facerec.sources.errors import SourceRefused
from facerec.sources.rows import Row

VECTORS = np.random.default_rng(0).random((4, 128)).astype(np.float32)
NAMES = ["ann", "ann", "bob", "cid"]
LISTS = [vector.tolist() for vector in VECTORS]


def float32_array(vector: list[float]) -> dict[str, float]:
    """A Float32Array as JSON.stringify writes it."""
    return {str(index): value for index, value in enumerate(vector)}


def labeled(label: str, vectors: list[Any]) -> dict[str, Any]:
    """LabeledFaceDescriptors as its toJSON makes it."""
    return {"label": label, "descriptors": vectors}


def people(form: Callable[[list[float]], Any] = lambda vector: vector) -> list[dict[str, Any]]:
    found = [form(vector) for vector in LISTS]
    return [labeled("ann", found[:2]), labeled("bob", [found[2]]), labeled("cid", [found[3]])]


MATCHER = {"distanceThreshold": 0.6, "labeledDescriptors": people()}
FACE_API: dict[str, str] = {
    "a list of people": json.dumps(people()),
    "a list in lines": json.dumps(people(), indent=2),
    "a FaceMatcher": json.dumps(MATCHER),
    "a FaceMatcher in lines": json.dumps(MATCHER, indent=2),
    "Float32Array": json.dumps(people(float32_array)),
    "descriptors before the label": json.dumps(people(), sort_keys=True),
    "fields as they are in memory": json.dumps(people(float32_array))
    .replace('"label', '"_label')
    .replace('"descriptors', '"_descriptors'),
    "a line a person": "\n".join(map(json.dumps, people())),
    "other fields beside": json.dumps([{"id": 7, **each, "photo": {"width": [1]}} for each in people()]),
}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows(path: Path) -> list[Row]:
    return list(files.rows(path, files.format_of(path), lambda *said: pytest.fail(str(said))))


def refusals(path: Path) -> list[str]:
    said: list[str] = []
    list(files.rows(path, files.format_of(path), lambda *refused: said.append(": ".join(refused))))
    return said


def check(found: list[Row], space: str) -> None:
    assert [row.person_id for row in found] == NAMES
    assert np.array_equal(np.stack([row.encoding for row in found]), VECTORS)
    assert {row.space for row in found} == {space}


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
@pytest.mark.parametrize("content", FACE_API.values(), ids=FACE_API)
def test_descriptors_of_face_api_are_read_as_of_their_own_space(
    content: str, suffix: str, tmp_path: Path
) -> None:
    check(rows(written(tmp_path / f"in.{suffix}", content)), spaces.FACE_API)


@pytest.mark.parametrize("sort_keys", [False, True])
def test_a_person_of_face_api_may_have_more_descriptors_than_fit_one_face(
    sort_keys: bool, tmp_path: Path
) -> None:
    many = json.dumps([labeled("ann", LISTS * 200)], sort_keys=sort_keys)
    assert len(many) > MAX_FACE_BYTES
    assert len(rows(written(tmp_path / "in.json", many))) == 800


WRITTEN_BY_NODE = """
const { readFileSync, writeFileSync } = require("fs");
const descriptors = JSON.parse(readFileSync(0)).map((vector) => new Float32Array(vector));
const people = [{ label: "ann", descriptors: descriptors.slice(0, 2) }];
people.push({ label: "bob", descriptors: [Array.from(descriptors[2])] });
people.push({ label: "cid", descriptors: [descriptors[3]] });
writeFileSync(process.argv[1], JSON.stringify(people));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_a_float32_array_that_node_wrote_is_read_exactly(tmp_path: Path) -> None:
    path = tmp_path / "in.json"
    subprocess.run(["node", "-e", WRITTEN_BY_NODE, path], input=json.dumps(LISTS).encode(), check=True)
    assert '"127":' in path.read_text()
    check(rows(path), spaces.FACE_API)


def test_an_invalid_descriptor_of_face_api_is_refused_by_its_number(tmp_path: Path) -> None:
    held = [labeled("ann", [LISTS[0], LISTS[1][:64], "x"]), 7, {"descriptors": [LISTS[2]]}, labeled("", [])]
    assert refusals(written(tmp_path / "in.json", json.dumps(held))) == [
        "face 2: encoding: an encoding has 128 numbers, and this one has 64",
        "face 3: encoding: an encoding is a list of numbers",
        "person 2: : it is not a JSON object",
        "face 4: person_id: a person's id is a text or a whole number",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"label":"ann","descriptors":[],"label":"bob"}', "person 1: it has a label twice"),
        ('{"label":"ann","descriptors":[[1', "face 1: it is not valid JSON from line 1, column 33 on"),
        ('{"labeledDescriptors":7}', "an array begins with \\["),
        ('[{"label":"ann","descriptors":[]}] x', "there is more after the array"),
    ],
)
def test_a_broken_file_of_face_api_is_refused_with_the_place(content: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match=said):
        rows(written(tmp_path / "in.json", content))


def test_a_matcher_of_face_api_inside_another_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "in.json", json.dumps({"labeledDescriptors": [*people(), MATCHER]}))
    assert refusals(path) == ["person 4: descriptors: it has none"]


GO_FACE = {
    "structs with a name": [{"Name": n, "Descriptor": v} for n, v in zip(NAMES, LISTS, strict=True)],
    "faces with a label": [
        {"Label": n, "Rectangle": {"Min": {"X": 1, "Y": 2}}, "Descriptor": v, "Shapes": None}
        for n, v in zip(NAMES, LISTS, strict=True)
    ],
    "a map of descriptors": {"ann": LISTS[:2], "bob": [LISTS[2]], "cid": [LISTS[3]]},
}


@pytest.mark.parametrize("held", GO_FACE.values(), ids=GO_FACE)
def test_descriptors_of_go_face_are_read_as_face_recognition_s(held: Any, tmp_path: Path) -> None:
    check(rows(written(tmp_path / "in.json", json.dumps(held))), DEFAULT_SPACE)
    if isinstance(held, list):
        check(rows(written(tmp_path / "in.jsonl", "\n".join(map(json.dumps, held)))), DEFAULT_SPACE)


def test_a_field_named_descriptor_is_refused_with_what_face_api_s_needs(tmp_path: Path) -> None:
    path = written(tmp_path / "in.json", json.dumps([{"person_id": "ann", "descriptor": LISTS[0]}]))
    with pytest.raises(SourceRefused, match="name it encoding, and give --space where face-api"):
        rows(path)


def datastore(paths: list[str], vectors: list[Any]) -> bytes:
    """A list of dicts, pickled as deepface does."""
    records = [
        {"identity": path, "hash": "0" * 40, "embedding": vector, "target_x": 1, "target_y": 2, "target_w": 3}
        for path, vector in zip(paths, vectors, strict=True)
    ]
    return pickle.dumps(records, pickle.HIGHEST_PROTOCOL)


PATHS = ["db/ann/1.jpg", "db/ann/2.jpg", "db/bob/1.jpg", "db/cid.png"]
DLIB = "ds_model_dlib_detector_opencv_aligned_normalization_base_expand_0.pkl"


@pytest.mark.parametrize(
    ("name", "space"),
    [
        (DLIB, "dlib-resnet-v1/deepface-opencv/150"),
        (DLIB.replace("opencv_aligned", "dlib_unaligned"), "dlib-resnet-v1/deepface-dlib-unaligned/150"),
        (DLIB.replace("expand_0", "expand_20"), "dlib-resnet-v1/deepface-opencv/150+20%"),
    ],
)
def test_a_datastore_of_deepface_is_read_as_of_the_space_in_its_name(
    name: str, space: str, tmp_path: Path
) -> None:
    found = rows(written(tmp_path / name, datastore(PATHS, LISTS)))
    check(found, space)
    assert [row.external_ref for row in found] == PATHS


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (DLIB.replace("dlib", "arcface"), r"its vectors are of arcface \(detector opencv\), and not of dlib"),
        (DLIB.replace("dlib", "facenet512"), r"facenet512 \(detector opencv\)"),
        (DLIB.replace("base", "facenet2018"), "its photos were normalized for facenet2018"),
        ("mine.pkl", "name it as deepface did"),
    ],
)
def test_a_datastore_of_another_model_is_refused_with_its_name(name: str, said: str, tmp_path: Path) -> None:
    path = written(tmp_path / name, datastore(PATHS, LISTS))
    with pytest.raises(SourceRefused, match=said):
        rows(path)


def test_a_photo_without_a_face_in_a_datastore_is_refused_alone(tmp_path: Path) -> None:
    path = written(tmp_path / DLIB, datastore(PATHS, [LISTS[0], None, *LISTS[2:]]))
    assert refusals(path) == ["row 1: embedding: deepface found no face in its photo"]


@pytest.mark.parametrize(
    ("names", "persons"),
    [
        (["/a/db/ann/1.jpg", "/a/db/ann/x/2.jpg", "/a/db/bob/1.jpg"], ["ann", "ann", "bob"]),
        (["db/ann.jpg", "db/bob.JPEG", "db/v1.2"], ["ann", "bob", "db/v1.2"]),
        (["C:\\db\\ann\\1.jpg", "C:\\db\\bob\\1.jpg"], ["ann", "bob"]),
        (["ann", "bob b. smith", "", "ann.jpg"], ["ann", "bob b. smith", "", "ann"]),
        (["ann", "db/bob/1.jpg", "db/cid/2.jpg"], ["ann", "bob", "cid"]),
        (["/ann/1.jpg", "db/bob/1.jpg"], ["ann", "db"]),
    ],
)
def test_deepface_s_photos_are_of_the_person_whom_their_folder_or_name_says(
    names: list[str], persons: list[str]
) -> None:
    photos = deepface.Photos(names)
    assert [photos.person(name) for name in names] == persons


@pytest.mark.parametrize("model", ["ArcFace", "Facenet", "VGG-Face", ""])
def test_other_models_of_deepface_have_no_space(model: str) -> None:
    assert spaces.of_deepface(model, "opencv") == ""
    assert spaces.of_deepface("Dlib", "x;y") == ""
