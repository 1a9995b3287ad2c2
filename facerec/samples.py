"""Sample photos: the test images of the `face_recognition` package's source release.

obama.jpg, obama2.jpg, obama3.jpg, obama_partial_face.jpg, obama_partial_face2.jpg, biden.jpg and
32bit.png. They are downloaded by pip, from the index that this machine uses, and cached.
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
    """The photos are not in the cache and could not be downloaded; the message says why."""


def cache_folder() -> Path:
    """The cache folder of the user's samples: below XDG_CACHE_HOME, by default ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "facerec" / "samples"


def sample_photos(folder: Path) -> Path:
    """Download the sample photos to `folder` unless they are there; returns it. Raises SamplesMissing."""
    if _is_there(folder):
        return folder
    if why := ownership.why_unsafe(folder):
        raise SamplesMissing(f"{why}, who could make root run other code: set XDG_CACHE_HOME, or HOME")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".samples-") as temporary:
        unpacked = _unpack(_download(Path(temporary)), Path(temporary) / "unpacked")
        try:
            unpacked.rename(folder)
        except OSError as error:
            if not _is_there(folder):  # else another process was faster
                raise SamplesMissing(f"{folder} exists and has other contents: move it") from error
    return folder


def _is_there(folder: Path) -> bool:
    return (folder / "obama.jpg").is_file()


def _download(folder: Path) -> Path:
    """Download the release; pip checks its hash before it unpacks it."""
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{RELEASE} --hash=sha256:{SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    # Its metadata is built with the installed setuptools: an isolated build would download another.
    command += [
        "--no-binary",
        ":all:",
        "--no-build-isolation",
        "--require-hashes",
        "--requirement",
        str(wanted),
    ]
    try:
        subprocess.run(  # noqa: S603 - no part of the command comes from outside
            [*command, "--dest", str(folder)],
            check=True,
            timeout=PIP_SECONDS,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stdout.splitlines() if "ERROR" in line] or [error.stdout.strip()]
        raise SamplesMissing(f"pip could not download {RELEASE}: {lines[-1]}") from error
    except subprocess.TimeoutExpired as error:
        raise SamplesMissing(f"pip did not download {RELEASE} within {PIP_SECONDS} s") from error
    return next(folder.glob("*.tar.gz"))


def _unpack(archive: Path, folder: Path) -> Path:
    """Extract only the photos into `folder`."""
    folder.mkdir()
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            content = tar.extractfile(member) if path.parent == Path(IMAGES) else None
            if content is not None:
                with content, (folder / path.name).open("wb") as photo:
                    shutil.copyfileobj(content, photo)
    return folder
