"""Sample photos: the test images of the `face_recognition` package's source release.

obama.jpg, obama2.jpg, obama3.jpg, obama_partial_face.jpg, obama_partial_face2.jpg, biden.jpg and
32bit.png. They come by pip, from whatever index this machine uses, and stay in a cache.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from facerec import ownership

RELEASE = "face_recognition==1.3.0"
SHA256 = "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec"
IMAGES = "face_recognition-1.3.0/tests/test_images"

PIP_SECONDS = 120


class SamplesMissing(Exception):
    """The photos are not in the cache and could not be fetched; the text says why."""


def cache_folder() -> Path:
    """Where a user's samples are kept: below XDG_CACHE_HOME, by default ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "facerec" / "samples"


def sample_photos(folder: Path) -> Path:
    """Give back `folder`, with the sample photos in it; fetched the first time. Raises SamplesMissing."""
    if _is_there(folder):
        return folder
    if why := ownership.why_unsafe(folder):
        raise SamplesMissing(
            f"{why}, who could thereby have root run other code: set XDG_CACHE_HOME, or HOME"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".samples-") as temporary:
        unpacked = _unpack(_download(Path(temporary)), Path(temporary) / "unpacked")
        try:
            unpacked.rename(folder)
        except OSError as error:
            if not _is_there(folder):  # else another process was quicker
                raise SamplesMissing(f"{folder} is in the way: it holds something else") from error
    return folder


def _is_there(folder: Path) -> bool:
    return (folder / "obama.jpg").is_file()


def _download(folder: Path) -> Path:
    """Fetch the release; pip checks its hash before it looks inside."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{RELEASE} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    # Its metadata is built with the setuptools that is here: an isolated build would fetch another.
    command += [
        "--no-binary",
        ":all:",
        "--no-build-isolation",
        "--require-hashes",
        "--requirement",
        str(wanted),
    ]
    try:
        subprocess.run(  # noqa: S603 - every word of the command is ours
            [*command, "--dest", str(folder)],
            check=True,
            timeout=PIP_SECONDS,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stdout.splitlines() if "ERROR" in line] or [error.stdout.strip()]
        raise SamplesMissing(f"pip could not fetch {RELEASE}: {lines[-1]}") from error
    except subprocess.TimeoutExpired as error:
        raise SamplesMissing(f"pip did not fetch {RELEASE} within {PIP_SECONDS} s") from error
    return next(folder.glob("*.tar.gz"))


def _unpack(archive: Path, folder: Path) -> Path:
    """Put the photos alone into `folder`."""
    folder.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            content = tar.extractfile(member) if path.parent == Path(IMAGES) else None
            if content is not None:
                with content, (folder / path.name).open("wb") as photo:
                    shutil.copyfileobj(content, photo)
    return folder
