"""Reads encodings from files: pickles, npz, CSV, JSON and JSON lines."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from facerec.sources import json_array, npz, text
from facerec.sources.errors import SourceRefused
from facerec.sources.pickles import faces
from facerec.sources.rows import Refuse, Row
from facerec.sources.source_file import SourceFile

FORMATS: Final = {
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".clf": "pickle",
    ".dat": "pickle",
    ".npz": "npz",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_READERS: Final[Mapping[str, Callable[[SourceFile, Refuse], Iterator[Row]]]] = {
    "pickle": faces.rows,
    "npz": npz.rows,
    "csv": text.csv_rows,
    "json": json_array.rows,
    "jsonl": text.json_rows,
}


def format_of(path: Path) -> str:
    """The format of a file by its suffix. Raises SourceRefused."""
    if path.suffix.lower() not in FORMATS:
        raise SourceRefused(f"name its format with --format: {', '.join(sorted(set(FORMATS.values())))}")
    return FORMATS[path.suffix.lower()]


def digest(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal. Raises SourceRefused, OSError."""
    with SourceFile(path) as file:
        return file.digest()


def rows(
    path: Path, format: str, refuse: Refuse, progress: Callable[[float], None] = lambda _: None
) -> Iterator[Row]:
    """The faces of a file in order; `refuse` is called for each invalid face, which is skipped.

    `progress` is called before each face with the share of the file that was read, 0 to 1.

    The file is read up to its first face at once, so that a file of another format is refused immediately.
    Raises SourceRefused and OSError, here and during the iteration.
    """
    found = _read(path, format, refuse, progress)
    first = list(itertools.islice(found, 1))
    return itertools.chain(first, found)


def _read(path: Path, format: str, refuse: Refuse, progress: Callable[[float], None]) -> Iterator[Row]:
    with SourceFile(path) as file:
        for row in _READERS[format](file, refuse):
            progress(file.share)
            yield row
