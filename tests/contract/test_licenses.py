"""docs/licenses.md against the locks, the installed packages and the encoder's own list of models."""

import dataclasses
import re
from importlib import metadata

import pytest

from encoder_service.embedding.dlib_weights import files
from tests.fixtures.process import ROOT

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
    found = files.find(large_landmarks=True)
    paths = [getattr(found, field.name) for field in dataclasses.fields(found)]
    assert {path.name for path in paths} == set(re.findall(r"^\| `(\w+\.dat)` \|", PAGE, re.MULTILINE))
