"""The examples in Python, TypeScript and Go print the same of their walk, over TLS and with a key."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import trustme

from facerec.serving.middleware.status import DOMAIN
from tests.e2e.access.conftest import entry
from tests.e2e.matcher.documented import all_blocks, page
from tests.fixtures.matcher import MatcherProcess
from tests.fixtures.process import ROOT

EXAMPLES = ROOT / "examples"
WALK = """\
created the collection walk
enrolled obama: 2 faces
enrolled biden: 1 of 2 faces is like obama
moved 1 face to obama, who has 3
in berlin: obama
in hamburg: nobody
renamed obama to employee-44
verified employee-44: match
employee-44 has 3 faces
biden has 1 faces
biden has 0 labels
refused obama: PERSON_NOT_FOUND person_id
people: biden, employee-44
erased 2 people and 4 faces: pending
deleted the collection walk
"""
GO_PACKAGES = Path(os.environ.get("GO_PACKAGES") or "/usr/share/gocode")
BUF = Path(sys.executable).with_name("buf")


def run(command: list[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints."""
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def grpc_go() -> tuple[int, ...]:
    """The version of GO_PACKAGES' grpc-go; (0, 0) where there is none."""
    source = GO_PACKAGES / "src" / "google.golang.org" / "grpc" / "version.go"
    text = source.read_text() if source.exists() else ""
    found = re.search(r'Version = "(\d+)\.(\d+)', text)
    return tuple(map(int, found.groups())) if found else (0, 0)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what locks a matcher, and the service config of docs/clients.md."""
    folder = tmp_path_factory.mktemp("locked")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(folder / "server.key"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    (folder / "keys.toml").write_text(entry("walk", "secret", ["admin"], "scores = true"))
    ((_, config),) = shown("json")
    (folder / "matcher-service-config.json").write_text(config)
    return folder


@pytest.fixture(scope="module")
def address(
    make_database: Callable[[str], str], template_database: str, encoder_address: str, locked: Path
) -> Iterator[str]:
    """HOST:PORT of a locked matcher."""
    files = {"tls-cert-file": "server.pem", "tls-key-file": "server.key", "keys-file": "keys.toml"}
    flags = [f"--{setting}={locked / name}" for setting, name in files.items()]
    server = MatcherProcess(make_database(template_database), "--encoder-address", encoder_address, *flags)
    try:
        server.event("database_ready")
        yield server.address
    finally:
        server.stop()


@pytest.fixture
def arguments(address: str, sample_photos: Path, locked: Path) -> list[str | Path]:
    """The address, the photos, and the service config."""
    return [address, sample_photos, locked / "matcher-service-config.json"]


@pytest.fixture
def caller(locked: Path) -> dict[str, str]:
    """A caller's environment: its key, and the CA."""
    return {"FACEREC_API_KEY": "secret", "FACEREC_TLS_CA_FILE": str(locked / "ca.pem")}


@pytest.fixture
def copied(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an example without what was built in it, beside the contract as in the repository."""
    if "CHECK_LANGUAGES" not in os.environ:
        pytest.skip("installs packages from the index and compiles: make test-languages")
    folder: Path = tmp_path / "src" / "examples" / request.param
    left_out = shutil.ignore_patterns("node_modules", "gen", "build")
    shutil.copytree(EXAMPLES / request.param, folder, ignore=left_out)
    run([ROOT / "scripts" / "protos.sh", tmp_path / "src" / "contract"], ROOT)
    return folder


def test_the_walk_in_python(arguments: list[str | Path], caller: dict[str, str], tmp_path: Path) -> None:
    environment = caller | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, EXAMPLES / "python" / "walk.py", *arguments[:2]]
    assert run(command, tmp_path, environment) == WALK


@pytest.mark.timeout(900)
@pytest.mark.parametrize("copied", ["typescript"], indirect=True)
def test_the_walk_in_typescript(copied: Path, arguments: list[str | Path], caller: dict[str, str]) -> None:
    if shutil.which("npm") is None:
        pytest.skip("Node.js is not on this machine")
    run(["npm", "ci", "--ignore-scripts"], copied)
    run(["npm", "run", "generate"], copied)
    run(["npm", "run", "build"], copied)
    assert run(["npm", "start", "--silent", "--", *arguments], copied, caller) == WALK


@pytest.mark.timeout(900)
@pytest.mark.parametrize("copied", ["go"], indirect=True)
def test_the_walk_in_go(copied: Path, arguments: list[str | Path], caller: dict[str, str]) -> None:
    for program in ("go", "protoc-gen-go", "protoc-gen-go-grpc"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on this machine")
    if grpc_go() < (1, 63):
        pytest.skip(f"{GO_PACKAGES} has no grpc-go of 1.63 or newer: make test-languages GO_PACKAGES=FOLDER")
    run([BUF, "generate"], copied)
    # Debian's packages are sources in a GOPATH, where the example's module is the folder of its name.
    module = copied.parents[1] / "example.com" / "walk"
    module.parent.mkdir()
    copied.rename(module)
    environment = {
        "GO111MODULE": "off",
        "GOPATH": f"{copied.parents[2]}{os.pathsep}{GO_PACKAGES}",
        "GOFLAGS": "",
    }
    assert run(["gofmt", "-l", "."], module) == ""
    run(["go", "vet", "."], module, environment)
    run(["go", "build", "-o", "walk", "."], module, environment)
    assert run([module / "walk", *arguments], module, caller) == WALK


def shown(*languages: str) -> list[tuple[str, str]]:
    """Language and content of the blocks of docs/clients.md in these languages."""
    return [block for block in all_blocks(page("docs/clients.md")) if block[0] in languages]


@pytest.mark.parametrize(("language", "content"), shown("ts", "go"))
def test_what_the_clients_page_shows_is_in_the_examples(language: str, content: str) -> None:
    assert any(content in path.read_text(encoding="utf-8") for path in EXAMPLES.rglob(f"*.{language}"))


@pytest.mark.parametrize("language", ["ts", "go", "java"])
def test_every_language_reads_the_errors_of_the_domain_that_is_sent(language: str) -> None:
    assert f'"{DOMAIN}"' in "".join(content for _, content in shown(language))
