"""Root uses no file that another user controls: links, folders, files of the database's account."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from encoder_service.embedding.dlib_weights import cache, files
from facerec import ownership, samples
from facerec.local import leftovers
from facerec.local.errors import FolderUnusable
from facerec.local.folder import DataFolder

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to somebody else")


@pytest.fixture
def theirs(data_dir: Path) -> Path:
    """A folder of another user."""
    folder = data_dir.parent / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    return folder


def test_a_lock_that_is_a_link_is_not_followed(data_dir: Path) -> None:
    target = data_dir.parent / "precious"
    target.write_text("precious")
    data_dir.mkdir()
    (data_dir / "lock").symlink_to(target)
    with pytest.raises(FolderUnusable, match="cannot use"):
        DataFolder.claim(data_dir)
    assert target.read_text() == "precious"


def test_a_lock_that_is_no_file_is_refused(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "lock").mkdir()
    with pytest.raises(FolderUnusable, match="cannot use"):
        DataFolder.claim(data_dir)


@as_root
def test_root_uses_no_data_folder_that_others_could_change(data_dir: Path, theirs: Path) -> None:
    link = data_dir.parent / "link"
    link.symlink_to(theirs)
    shared = data_dir.parent / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    for folder in (theirs, theirs / "data", link, link / "data", shared, shared / "data"):
        with pytest.raises(FolderUnusable, match="choose a data folder that only root can change"):
            DataFolder.claim(folder)
        assert not (folder / "lock").exists()
    os.lchown(link, NOBODY, NOBODY)
    with pytest.raises(FolderUnusable, match=f"{link} belongs to user {NOBODY}"):
        DataFolder.claim(link / "data")
    shared.chmod(0o1777)
    DataFolder.claim(shared / "data").release()


@as_root
def test_a_symlink_in_another_users_folder_is_unsafe(data_dir: Path, theirs: Path) -> None:
    data_dir.mkdir()
    (theirs / "link").symlink_to(data_dir)
    assert (
        ownership.why_unsafe(theirs / "link" / "data") == f"{theirs} belongs to user {NOBODY} and not to root"
    )
    assert ownership.why_unsafe(data_dir) == ""


@as_root
def test_root_runs_and_loads_nothing_that_others_could_change(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "_download", lambda folder: pytest.fail("asked for"))
    with pytest.raises(samples.SamplesMissing, match="belongs to user"):
        samples.sample_photos(theirs / "samples")
    weights = files.Weights(b"weights", "0" * 64)
    planted = cache.entry_path(theirs, weights)
    cache._write(planted, b"theirs")
    assert cache.fetch(theirs, weights, lambda data: b"ours") == b"ours"
    assert planted.exists()


@pytest.fixture
def bystander() -> Iterator[Path]:
    """A folder called as those for sockets, which a pid file names."""
    folder = Path(tempfile.mkdtemp(prefix="bystander-", dir="/tmp")) / "facerec-precious"
    folder.mkdir()
    (folder / "file").touch()
    yield folder
    shutil.rmtree(folder.parent)


def test_what_a_pid_file_names_is_removed_only_where_it_is_the_servers_own(
    data_dir: Path, bystander: Path
) -> None:
    data_dir.mkdir()
    own = Path(tempfile.mkdtemp(prefix="facerec-", dir="/tmp"))
    for folder in (bystander, own):
        (data_dir / "postmaster.pid").write_text(f"1\n{data_dir}\n0\n5432\n{folder}\n")
        leftovers.clear(data_dir)
    assert (bystander / "file").exists()
    assert not own.exists()


def test_a_pid_file_that_is_a_link_is_not_read(data_dir: Path, bystander: Path) -> None:
    data_dir.mkdir()
    words = data_dir.parent / "words"
    words.write_text("1\n2\n3\n")
    (data_dir / "postmaster.pid").symlink_to(words)
    leftovers.clear(data_dir)
    assert words.exists()
    assert not (data_dir / "postmaster.pid").is_symlink()
