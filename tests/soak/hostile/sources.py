"""Files that would cost much to a reader without bounds, each read in a process of its own."""

import tempfile
from pathlib import Path

from tests.soak.hostile.report import Finding
from tests.unit.sources import hostile, measured

MAX_CPU_SECONDS = 2.0
MAX_SHORT_CPU_SECONDS = 10.0  # beside other tests
MAX_MIB = 200
SHORT_FILES = 4
"""Every so many of the files are read in the short form."""


def attack(*, short: bool) -> list[Finding]:
    """Read each file; it is to be refused, as a whole or by row, in little time and memory."""
    made = hostile.files()
    with tempfile.TemporaryDirectory() as folder:
        return [
            _read(Path(folder) / name, made[name], MAX_SHORT_CPU_SECONDS if short else MAX_CPU_SECONDS)
            for place, name in enumerate(made)
            if not short or place % SHORT_FILES == 0
        ]


def _read(path: Path, data: bytes, max_seconds: float) -> Finding:
    path.write_bytes(data)
    took = measured.measured(path)
    path.unlink()
    said = took["error"] or f"{took['refused']} rows refused"
    figure = f"{len(data):,} bytes: {took['seconds']:.2f} s of CPU time, {took['mib']:.0f} MiB; {said}"
    holds = (
        took["kind"] in ("", "SourceRefused")
        and took["faces"] == 0
        and took["seconds"] < max_seconds
        and took["mib"] < MAX_MIB
    )
    return Finding(f"source: {path.name}", figure, holds)
