"""A wheel with only what its metadata ask for: the client alone, each service, all on one machine."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import facerec
from tests.fixtures.process import ROOT
from tests.languages.test_walks import WALK

PROGRAM = ROOT / "examples" / "python" / "walk.py"
READY = re.compile(r"ready: encoder (\S+), matcher (\S+), gateway ")
SERVERS = ("asyncpg", "dlib", "grpc_health", "onnxruntime", "pydantic_settings", "structlog")

pytestmark = [
    pytest.mark.skipif("CHECK_DIST" not in os.environ, reason="installs packages: make check-dist"),
    pytest.mark.timeout(900),
]

Install = Callable[[str], Path]


@pytest.fixture(scope="module")
def install() -> Iterator[Install]:
    """Installs the wheel in the folder CHECK_DIST with extras such as `[local]`; returns the `bin`."""
    (wheel,) = (ROOT / os.environ["CHECK_DIST"]).glob("*.whl")
    # Under root Postgres runs as a user who must enter it, as pytest's own folders do not let them.
    with tempfile.TemporaryDirectory(dir="/tmp" if sys.platform != "win32" else None) as folder:
        Path(folder).chmod(0o755)

        def installed(extras: str) -> Path:
            environment = Path(folder, f"venv{extras.strip('[]')}")
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
            pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]
            subprocess.run([*pip, "-q", "install", "--no-compile", f"{wheel}{extras}"], check=True)
            subprocess.run([*pip, "check"], check=True)
            return environment / "bin"

        yield installed


def run(command: list[str | Path], folder: Path, status: int = 0) -> str:
    """What a command prints, outside of the checkout."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_client_alone_is_light_typed_and_says_which_extra_a_service_needs(
    install: Install, matcher_address: str, sample_photos: Path, tmp_path: Path
) -> None:
    client = install("")
    assert run([client / "facerec", "--version"], tmp_path) == f"facerec {facerec.__version__}\n"
    assert "verify" in run([client / "facerec", "--help"], tmp_path)
    found = f"import importlib.util as u; print([n for n in {SERVERS} if u.find_spec(n)])"
    assert run([client / "python", "-c", found], tmp_path) == "[]\n"
    where = run([client / "python", "-c", "import facerec; print(facerec.__file__)"], tmp_path)
    assert Path(where.strip()).with_name("py.typed").exists()
    for service in ("encoder", "matcher"):
        assert f"extra `{service}`" in run([client / f"{service}_service", "version"], tmp_path, status=2)
    assert "'.[local]'" in run([client / "facerec", "up"], tmp_path, status=2)
    assert run([client / "python", PROGRAM, matcher_address, sample_photos], tmp_path) == WALK


@pytest.mark.parametrize("service", ["encoder", "matcher"])
def test_a_service_starts_by_its_own_extra(install: Install, service: str, tmp_path: Path) -> None:
    programs = install(f"[{service}]")
    assert facerec.__version__ in run([programs / f"{service}_service", "version"], tmp_path)
    assert "usage" in run([programs / f"{service}_service", "serve", "--help"], tmp_path).lower()
    modules = {"encoder": "encoder_service.loading", "matcher": "matcher_service.service"}
    run([programs / "python", "-c", f"import {modules[service]}"], tmp_path)


def test_everything_runs_on_one_machine_by_the_extra_local(
    install: Install, sample_photos: Path, tmp_path: Path
) -> None:
    programs = install("[local]")
    ports = [f"--{service}-address=127.0.0.1:0" for service in ("encoder", "matcher", "gateway")]
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    command: list[str | Path] = [programs / "facerec", "up", "--data", programs.parents[1] / "data", *ports]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as up:
        try:
            assert up.stdout is not None
            ready = next(filter(None, map(READY.search, up.stdout)))
            lines = run([programs / "python", PROGRAM, ready[2], sample_photos], tmp_path).splitlines()
        finally:
            up.send_signal(signal.SIGINT)
    assert lines[:-2] == WALK.splitlines()[:-2]  # maintenance may have removed the erased bytes already
    assert lines[-2].startswith("erased 2 people and 4 faces: ")
    assert up.returncode == 0
