"""The client packages as their users get them, and what they call: a locked matcher."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.e2e.access.conftest import entry
from tests.fixtures.matcher import MatcherProcess
from tests.fixtures.process import ROOT
from tests.languages.building import GO_PACKAGES, grpc_go, run


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what locks a matcher."""
    folder = tmp_path_factory.mktemp("locked")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(folder / "server.key"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    (folder / "keys.toml").write_text(entry("walk", "secret", ["admin"], "scores = true"))
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
def arguments(address: str, sample_photos: Path) -> list[str | Path]:
    """The address and the photos."""
    return [address, sample_photos]


@pytest.fixture
def caller(locked: Path) -> dict[str, str]:
    """A caller's environment: its key, and the CA."""
    return {"FACEREC_API_KEY": "secret", "FACEREC_TLS_CA_FILE": str(locked / "ca.pem")}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and the examples without what was built in them, with what builds them."""
    if "CHECK_LANGUAGES" not in os.environ:
        pytest.skip("installs packages from the index and compiles: make test-languages")
    folder = tmp_path_factory.mktemp("clone")
    left_out = shutil.ignore_patterns("node_modules", "gen", "build", "dist", "*.tgz")
    for name in ("clients", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    for name in (".venv", "LICENSE", "facerec", "protos", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="module")
def package(clone: Path) -> Path:
    """The npm package as a file, made by the commands of its README."""
    if shutil.which("npm") is None:
        pytest.skip("Node.js is not on this machine")
    folder = clone / "clients" / "typescript"
    run(["npm", "ci", "--ignore-scripts"], folder)
    run(["npm", "pack"], folder)
    (packed,) = folder.glob("*.tgz")
    return packed


@pytest.fixture(scope="module")
def gopath(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GOPATH with the Go module and the example: Debian's packages are sources in another one."""
    for program in ("go", "protoc-gen-go", "protoc-gen-go-grpc"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on this machine")
    if grpc_go() < (1, 63):
        pytest.skip(f"{GO_PACKAGES} has no grpc-go of 1.63 or newer: make test-languages GO_PACKAGES=FOLDER")
    folder = tmp_path_factory.mktemp("gopath")
    for module in ("clients", "examples"):
        name = re.search("^module (.*)$", (clone / module / "go" / "go.mod").read_text(), re.MULTILINE)
        assert name
        shutil.copytree(clone / module / "go", folder / "src" / name[1])
    return folder
