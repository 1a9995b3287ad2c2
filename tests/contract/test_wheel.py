"""What a wheel of this tree contains."""

import shutil
import subprocess
import sys
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

import facerec
from tests.fixtures.process import ROOT

PACKAGES = ("facerec", "encoder_service", "matcher_service")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel, built without the index."""
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, folder)
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "wheel"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([*pip, *options, folder], check=True)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_a_wheel_has_all_code_stubs_and_statements_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    pages = set((ROOT / "facerec" / "gateway" / "console" / "static").rglob("*.*"))
    files = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".pyi", ".sql"}
        or path.name in {"py.typed", "openapi.json"}
        or path in pages
    }
    metadata = f"facerec-{facerec.__version__}.dist-info/"
    assert {name for name in wheel.namelist() if not name.startswith(metadata)} == files
    assert f"{metadata}licenses/LICENSE" in wheel.namelist()


def test_a_wheel_s_metadata_name_the_release_the_commands_and_the_extras(wheel: zipfile.ZipFile) -> None:
    folder = f"facerec-{facerec.__version__}.dist-info"
    metadata = BytesParser().parsebytes(wheel.read(f"{folder}/METADATA"))
    assert metadata["Version"] == facerec.__version__
    assert metadata["License-Expression"] == "MIT"
    assert {"encoder", "gpu", "local", "matcher", "tracing"} <= set(metadata.get_all("Provides-Extra", []))
    assert metadata["Description-Content-Type"] == "text/markdown"
    commands = wheel.read(f"{folder}/entry_points.txt").decode()
    assert {line.split(" = ")[0] for line in commands.splitlines() if " = " in line} == {
        "encoder_service",
        "facerec",
        "matcher_service",
    }


def test_no_path_of_the_tree_is_in_a_wheel(wheel: zipfile.ZipFile) -> None:
    marks = [str(Path.home()).encode() + b"/", str(ROOT).encode()]
    assert not [name for name in wheel.namelist() for mark in marks if mark in wheel.read(name)]
