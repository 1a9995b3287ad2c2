"""Files that would cost much to a reader without bounds, each read in a process of its own."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fixtures.process import ROOT
from tests.soak.hostile.report import CheckResult
from tests.unit.sources import hostile

MAX_CPU_SECONDS = 2.0
MAX_SHORT_CPU_SECONDS = 10.0  # beside other tests
MAX_MIB = 200
SHORT_FILES = 4
"""Every so many of the files are read in the short form."""


def attack(*, short: bool) -> list[CheckResult]:
    """Read each file; it is to be refused, as a whole or by row, in little time and memory."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, data in list(hostile.files().items())[:: SHORT_FILES if short else 1]:
            paths.append(Path(folder) / name)
            paths[-1].write_bytes(data)
        # The reading processes are forks, whose garbage collector would examine all objects of this one.
        command = [sys.executable, "-m", "tests.unit.sources.measure", *map(str, paths)]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        limit = MAX_SHORT_CPU_SECONDS if short else MAX_CPU_SECONDS
        return [
            _finding(path, json.loads(line), limit)
            for path, line in zip(paths, done.stdout.splitlines(), strict=True)
        ]


def _finding(path: Path, took: dict[str, Any], max_seconds: float) -> CheckResult:
    said = took["error"] or f"{took['refused']} rows refused"
    size = path.stat().st_size
    figure = f"{size:,} bytes: {took['seconds']:.2f} s of CPU time, {took['mib']:.0f} MiB; {said}"
    holds = (
        took["kind"] in ("", "SourceRefused")
        and took["faces"] == 0
        and took["seconds"] < max_seconds
        and took["mib"] < MAX_MIB
    )
    return CheckResult(f"source: {path.name}", figure, holds)
