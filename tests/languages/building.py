"""Running the tools of other languages on a copy of the client packages and the examples."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.fixtures.process import ROOT

EXAMPLES = ROOT / "examples"
CLIENTS = ROOT / "clients"
GO_PACKAGES = Path(os.environ.get("GO_PACKAGES") or "/usr/share/gocode")


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


def go(gopath: Path, module: str, *arguments: str | Path) -> str:
    """What the go command prints in a module's folder."""
    variables = {"GO111MODULE": "off", "GOPATH": f"{gopath}{os.pathsep}{GO_PACKAGES}", "GOFLAGS": ""}
    return run(["go", *arguments], gopath / "src" / module, variables)
