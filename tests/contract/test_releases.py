"""`make release` writes all that a release changes; breaking changes of the contract are found after it."""

import datetime
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from facerec import __version__
from scripts import release
from tests.fixtures.process import ROOT
from tests.unit.matcher.test_released_migrations import faults

DATE = datetime.date(2031, 2, 3)
VERSION = "9.8.7"
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", re.MULTILINE)
CHANGES = """\
# Change log

## Unreleased

### Fixed

- One.

### Added

- Two
  lines.

### Fixed

- Three.

## [0.1.0] - 2030-01-01

### Added

- All.
"""


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a release touches, released."""
    tree = tmp_path_factory.mktemp("released")
    files = [release.PACKAGE, release.CHANGES, Path("scripts/breaking.sh"), Path("scripts/protos.sh")]
    files += map(Path, release.NPM)
    files += [path.relative_to(ROOT) for pattern in release.NAMED for path in ROOT.glob(pattern)]
    for path in files:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tree / path)
    for folder in ("protos", release.MIGRATIONS):
        shutil.copytree(ROOT / folder, tree / folder)
    release.write(tree, VERSION, DATE)
    return tree


def breaking(tree: Path) -> "subprocess.CompletedProcess[str]":
    """What the lint's comparison with the release says of a tree."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    script = 'scripts/protos.sh "$0/contract" && scripts/breaking.sh "$0/contract"'
    return subprocess.run(
        ["sh", "-c", script, tree],
        cwd=tree,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_release_s_version_is_in_the_package_the_images_and_the_documents(released: Path) -> None:
    named = {path for pattern in release.NAMED for path in released.glob(pattern)}
    with_version = {path for path in named if VERSION in path.read_text()}
    names = {str(path.relative_to(released)) for path in with_version}
    assert {"deploy/docker/matcher.Dockerfile", "deploy/kubernetes/base/matcher.yaml", "docs/cli.md"} <= names
    assert f'__version__ = "{VERSION}"' in (released / release.PACKAGE).read_text()


@pytest.mark.parametrize("name", release.NPM)
def test_the_npm_package_has_the_version_of_facerec(released: Path, name: str) -> None:
    version = re.compile(r'"name": "@facerec/client",\s+"version": "(.*)"')
    before, after = (version.findall((tree / name).read_text()) for tree in (ROOT, released))
    assert before == [__version__] * len(before) != []
    assert after == [VERSION] * len(before)


def test_a_release_lists_its_migrations(released: Path) -> None:
    folder = released / release.MIGRATIONS
    files = {path.name: path.read_bytes() for path in folder.glob("[0-9]*.sql")}
    listed = (folder / "released.sha256").read_text()
    assert len(listed.splitlines()) == len(files)
    assert faults(listed, files, f"## [{VERSION}] - {DATE}") == []
    assert faults(listed, files | {"0999_next.sql": b"SELECT 1"}, f"## [{VERSION}] - {DATE}") == []


def test_a_release_dates_all_that_was_unreleased_and_leaves_no_line_out(released: Path) -> None:
    before, after = (folder.joinpath(release.CHANGES).read_text() for folder in (ROOT, released))
    assert f"## Unreleased\n\n## [{VERSION}] - {DATE}\n" in after
    assert set(before.splitlines()) <= set(after.splitlines())
    headings = re.findall(r"^### .*", after.split(f"## [{VERSION}]")[1].split("\n## ")[0], re.MULTILINE)
    assert sorted(headings) == sorted(set(headings))


def test_a_heading_that_stands_twice_is_one_of_the_release() -> None:
    dated = release.dated(CHANGES, "0.2.0", DATE)
    section = "### Added\n\n- Two\n  lines.\n\n### Fixed\n\n- One.\n- Three.\n\n"
    start, rest = CHANGES.split("## Unreleased\n")
    older = rest[rest.index("## [0.1.0]") :]
    assert dated == f"{start}## Unreleased\n\n## [0.2.0] - 2031-02-03\n\n{section}{older}"


@pytest.mark.parametrize(
    ("version", "tags", "status", "why"),
    [
        ("", [], "", "is no version"),
        ("v0.2.0", [], "", "is no version"),
        ("0.2.0", ["v0.10.0", "v0.9.0"], "", "0.2.0 is not newer than 0.10.0"),
        ("0.2.0", ["v0.2.0"], "", "not newer"),
        ("0.2.0", ["v0.1.0"], " M README.md\n", "not committed"),
    ],
)
def test_what_is_no_release_is_refused(version: str, tags: list[str], status: str, why: str) -> None:
    assert why in release.refused(version, CHANGES, tags, status)
    assert release.refused("0.11.0", CHANGES, tags, "") == ""


def test_a_release_without_changes_is_refused() -> None:
    assert "Unreleased" in release.refused("0.2.0", release.dated(CHANGES, "0.1.1", DATE), [], "")


def test_the_contract_is_compatible_with_its_release_until_a_field_changes(released: Path) -> None:
    assert breaking(released).stdout == ""
    assert breaking(released).returncode == 0
    proto = released / "protos" / "facerec" / "matcher" / "v1" / "erasure.proto"
    text = proto.read_text()
    proto.write_text(text.replace("uint64 faces_deleted = 3;", "uint32 faces_deleted = 3;"))
    found = breaking(released)
    proto.write_text(text)
    assert found.returncode != 0
    assert "faces_deleted" in found.stdout


def test_the_tree_has_the_contract_of_the_newest_release_alone() -> None:
    versions = RELEASE.findall((ROOT / release.CHANGES).read_text())
    kept = [path.name for path in (ROOT / release.CONTRACTS).glob("*")]
    assert kept == [f"v{version}.binpb" for version in versions[:1]]
