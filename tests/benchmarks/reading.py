"""The time and memory of reading a source without sending it, compared with another checkout.

`python -m tests.benchmarks.reading [--rows 1000000] [--runs 3] [--against DIR] [KIND ...]`
"""

import argparse
import csv
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import KNeighborsClassifier

from tests.benchmarks.encoder.tables import table

BLOCK_ROWS = 10_000
ROOT = Path(__file__).parents[2]
CHILD = """
import resource, sys
from pathlib import Path
from facerec.sources import files
from facerec.sources.rows import batches
path, faces = Path(sys.argv[1]), 0
rows = files.rows(path, files.format_of(path), lambda *refused: sys.exit(f"refused {refused}"))
for batch in batches(rows):
    faces += len(batch.places)
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(faces, resource.getrusage(resource.RUSAGE_SELF).ru_utime, int(peak) / 1024)
"""
"""Prints the faces read, seconds of the user's CPU time, and the most MiB that the process had."""

Vectors = npt.NDArray[np.float64]


def vectors(count: int) -> Vectors:
    """As many vectors."""
    return np.random.default_rng(0).random((count, 128)) / 2


def people(count: int) -> list[str]:
    """Two rows a person."""
    return [f"p{number // 2}" for number in range(count)]


def blocks(count: int) -> Iterator[tuple[str, list[float]]]:
    """Rows, of the same few vectors so that a million are written soon."""
    faces = vectors(BLOCK_ROWS).tolist()
    return ((name, faces[number % BLOCK_ROWS]) for number, name in enumerate(people(count)))


def write_npz(path: Path, count: int) -> None:
    """As `facerec export` does."""
    np.savez(path, encodings=vectors(count).astype(np.float32), person_ids=np.array(people(count)))


def write_csv(path: Path, count: int) -> None:
    """With a column a number."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person_id", *(f"e{at}" for at in range(128))])
        writer.writerows([name, *face] for name, face in blocks(count))


def write_json_lines(path: Path, count: int) -> None:
    """An object a line."""
    with path.open("w") as file:
        file.writelines(
            json.dumps({"person_id": name, "encoding": face}) + "\n" for name, face in blocks(count)
        )


def write_pickle(path: Path, count: int) -> None:
    """A list of arrays and a list of names, as face_recognition's users keep them."""
    with path.open("wb") as file:
        pickle.dump({"encodings": list(vectors(count)), "names": people(count)}, file)


def write_lists(path: Path, count: int) -> None:
    """The same as lists of numbers."""
    with path.open("wb") as file:
        pickle.dump({"encodings": vectors(count).tolist(), "names": people(count)}, file)


def write_classifier(path: Path, count: int) -> None:
    """A fitted classifier."""
    fitted = KNeighborsClassifier(n_neighbors=1, algorithm="brute").fit(vectors(count), people(count))
    with path.open("wb") as file:
        pickle.dump(fitted, file)


KINDS: Mapping[str, tuple[str, Callable[[Path, int], None]]] = {
    "npz": ("npz", write_npz),
    "csv": ("csv", write_csv),
    "jsonl": ("jsonl", write_json_lines),
    "pickle": ("pkl", write_pickle),
    "lists": ("pkl", write_lists),
    "classifier": ("clf", write_classifier),
}


def read(checkout: Path, path: Path, rows: int) -> tuple[float, float]:
    """Seconds of CPU time and MiB that a process takes to read the file with the code of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    faces, seconds, mib = done.stdout.split()
    assert int(faces) == rows
    return float(seconds), float(mib)


def run(kinds: Sequence[str], rows: int, runs: int, against: Path | None) -> None:
    """Print a row a kind as it is measured: medians of runs that alternate between the checkouts."""
    print(f"{rows:,} rows, {runs} runs each\n")
    head = ("source", "MiB", "CPU seconds", "peak MiB", "CPU seconds there", "peak MiB there")
    print(table(head if against else head[:4], []), flush=True)
    for kind in kinds:
        suffix, write = KINDS[kind]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"gallery.{suffix}"
            write(path, rows)
            here, there = [], []
            for _ in range(runs):
                here.append(read(ROOT, path, rows))
                if against:
                    there.append(read(against, path, rows))
            size = f"{path.stat().st_size / 2**20:,.0f}"
        cells = (kind, size, *_medians(here), *(_medians(there) if there else ()))
        print(f"| {' | '.join(cells)} |", flush=True)


def _medians(took: Sequence[tuple[float, float]]) -> tuple[str, str]:
    seconds, mib = zip(*took, strict=True)
    return f"{statistics.median(seconds):.2f}", f"{statistics.median(mib):,.0f}"


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.reading")
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], default=[], metavar="KIND")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="another checkout, read in turn with this"
    )
    given = parser.parse_args()
    run(given.kinds or list(KINDS), given.rows, given.runs, given.against)
    return 0


if __name__ == "__main__":
    sys.exit(main())
