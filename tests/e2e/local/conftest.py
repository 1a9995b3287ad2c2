"""Data folders, and an ordinary user to run as when the tests run as root."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]
PASSABLE = tempfile.gettempdir() if sys.platform == "linux" else "/tmp"  # all users may pass through it


@dataclass(frozen=True)
class Runner:
    """How to run the project's Python: the user, its home, the interpreter, and variables of its own."""

    python: str
    home: Path
    options: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PYTHON"))}
        paths = [str(REPOSITORY), sysconfig.get_path("purelib")]
        return kept | {
            "HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.variables,
        }

    def start(self, *argv: str, **options: Any) -> "subprocess.Popen[str]":
        settings: dict[str, Any] = {
            "env": self.env(),
            "cwd": self.home,
            "text": True,
            **self.options,
            **options,
        }
        return subprocess.Popen([self.python, *argv], **settings)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder to be made, whose parents all users may pass through, as pytest's own do not let them."""
    folder = Path(tempfile.mkdtemp(prefix="facerec-test-", dir=PASSABLE))
    folder.chmod(0o755)
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def myself(data_dir: Path, model_cache: Path) -> Runner:
    """The user that runs the tests, with the tests' converted networks; `ordinary_user` converts its own."""
    return Runner(sys.executable, data_dir.parent, variables={"ENCODER_MODEL_CACHE_DIR": str(model_cache)})


@pytest.fixture
def ordinary_user() -> Iterator[Runner]:
    """The user that runs the tests, or `nobody` if that is root."""
    home = Path(tempfile.mkdtemp(prefix="facerec-home-", dir=PASSABLE))
    yield _ordinary_runner(home)
    shutil.rmtree(home)


def _ordinary_runner(home: Path) -> Runner:
    if os.geteuid() != 0:
        return Runner(sys.executable, home)
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        runner = Runner(python, home, account)
        try:
            probe = runner.start("-c", "import asyncpg, grpc, numpy, facerec", stderr=subprocess.DEVNULL)
        except OSError:
            continue
        if probe.wait() == 0:
            return runner
    pytest.skip("no Python that `nobody` may run can import the project")
