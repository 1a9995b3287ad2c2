"""Measures reading files: `python -m tests.unit.sources.measure FILE ...` prints a JSON object per file.

Each is read in a process of its own, forked once everything is imported, so what is measured is the reading.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from facerec.sources import files
from facerec.sources.rows import batches

GIVE_UP_SECONDS = 60
MAX_BYTES = 4 * 2**30


def peak_bytes() -> int:
    """The most memory that this process has had, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def read(path: Path) -> dict[str, Any]:
    """Read a file as an import does, as far as sending it."""
    refused: list[str] = []
    faces = 0

    def refuse(place: str, field: str, message: str) -> None:
        refused.append(f"{place}: {field}: {message}") if len(refused) < 1000 else None

    try:
        for batch in batches(files.rows(path, files.format_of(path), refuse)):
            faces += len(batch.locations)
            batch.faces.to_message()
        error, name = "", ""
    except BaseException as raised:
        error, name = str(raised), type(raised).__name__
    return {"faces": faces, "refused": len(refused), "first": refused[:1], "kind": name, "error": error}


def measured(path: Path) -> dict[str, Any]:
    """What reading took, in a child: CPU seconds, MiB over what it had before, and what came out."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        import resource

        signal.alarm(GIVE_UP_SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
        before, began = peak_bytes(), time.process_time()
        found = read(path)
        took = {"seconds": time.process_time() - began, "mib": (peak_bytes() - before) / 2**20}
        os.write(writing, json.dumps({**found, **took}).encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if not said:
        return {
            "kind": "DIED",
            "error": "killed",
            "seconds": GIVE_UP_SECONDS,
            "mib": 0,
            "faces": 0,
            "refused": 0,
        }
    return {**json.loads(said)}


def main() -> int:
    """Measure the files that are named."""
    read(Path("/nonexistent.npz"))
    for name in sys.argv[1:]:
        print(json.dumps({"file": name, **measured(Path(name))}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
