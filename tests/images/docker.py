"""A Docker engine: images built from deploy/docker, what is in them, and programs run in them."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
BASE: Final = os.environ.get("IMAGES_BASE", "python:3.12-slim-bookworm")
MARK: Final = "mark-of-the-pip-configuration"  # stands for a password: no image may hold it
# What the engine itself puts into every container.
OF_THE_ENGINE: Final = {".dockerenv", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"}


class File(NamedTuple):
    """A file of an image: kind, mode, owner, size in bytes, and its bytes' SHA-256 or its link's target."""

    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    content: str


def docker(*arguments: str, **environment: str) -> str:
    """Run a command of docker and return its output. Raises CalledProcessError."""
    return subprocess.run(
        ["docker", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ).stdout.strip()


def build(name: str, tag: str, *flags: str) -> None:
    """Build deploy/docker/NAME.Dockerfile, with the machine's pip configuration and CAs as secrets."""
    with tempfile.TemporaryDirectory(prefix="facerec-test-") as folder:
        pip_conf, ca = Path(folder) / "pip.conf", Path(folder) / "ca.crt"
        given = os.environ.get("IMAGES_PIP_CONF", os.devnull)
        pip_conf.write_text(f"# {MARK}\n{Path(given).read_text(encoding='utf-8')}", encoding="utf-8")
        shutil.copyfile(os.environ.get("IMAGES_CA", os.devnull), ca)
        docker(
            "build",
            *flags,
            f"--secret=id=pip.conf,src={pip_conf}",
            f"--secret=id=ca.crt,src={ca}",
            f"--build-arg=BASE={BASE}",
            "--build-arg=REVISION=checked",
            f"--file={ROOT / 'deploy' / 'docker' / name}.Dockerfile",
            f"--tag={tag}",
            str(ROOT),
            DOCKER_BUILDKIT="1",
        )


def inspect(name: str) -> Any:
    """What `docker inspect` tells of an image or container."""
    (found,) = json.loads(docker("inspect", name))
    return found


def files(image: str) -> Mapping[str, File]:
    """Every file of an image by its path."""
    container = docker("create", image)
    try:
        with (
            subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as export,
            tarfile.open(fileobj=export.stdout, mode="r|") as archive,
        ):
            return {entry.name: _file(archive, entry) for entry in archive if entry.name not in OF_THE_ENGINE}
    finally:
        docker("rm", container)


def _file(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> File:
    content = entry.linkname
    if entry.isreg() and (data := archive.extractfile(entry)) is not None:
        content = hashlib.sha256(data.read()).hexdigest()
    return File(entry.type, entry.mode, entry.uid, entry.gid, entry.size, content)
