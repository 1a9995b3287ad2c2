"""Writes exported encodings to files, atomically and readable by their owner only."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from facerec.cli.terminal.errors import Problem

if TYPE_CHECKING:
    from facerec.client import FaceBatch

OWNER_ONLY = 0o600


@contextlib.contextmanager
def atomic_file(target: Path) -> Iterator[IO[bytes]]:
    """A temporary file that is renamed to `target` when all of it is written. Raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), OWNER_ONLY)
            yield file
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically. Raises Problem naming it."""
    try:
        with atomic_file(target) as file:
            file.write(text.encode())
    except OSError as error:
        raise Problem(f"{target}: {(error.strerror or 'cannot be written').lower()}", "FILE") from error


def check_absent(target: Path, *, force: bool) -> None:
    """Raise Problem if the file exists, unless `force`."""
    if (target.exists() or target.is_symlink()) and not force:
        raise Problem(f"{target}: the file exists; --force replaces it", "FILE")


def _json_lines(target: Path, batches: "Iterable[FaceBatch]") -> int:
    faces = 0
    with atomic_file(target) as file:
        for batch in batches:
            for index, vector in enumerate(batch.encodings.tolist()):
                record = {"person_id": batch.person_ids[index], "encoding": vector, **_known(batch, index)}
                file.write(json.dumps(record).encode() + b"\n")
            faces += len(batch)
    return faces


def _known(batch: "FaceBatch", index: int) -> dict[str, Any]:
    """A face's fields beside its person and vector, without empty ones."""
    expires = batch.expire_times[index]
    known = {
        "display_name": batch.display_names[index],
        "external_ref": batch.external_refs[index],
        "expire_time": expires.isoformat() if expires else "",
        "fingerprint": batch.fingerprints[index],
        "space": batch.space,
        "labels": batch.labels[index] if batch.labels else {},
        "metadata": batch.metadata[index] if batch.metadata else {},
        "suspended": batch.suspended[index] if batch.suspended else None,
    }
    return {name: value for name, value in known.items() if value}


def _npz(target: Path, batches: "Iterable[FaceBatch]") -> int:
    """Write an npz file. All faces are in memory together, as the format has one array for all."""
    import numpy as np

    kept = list(batches)
    empty = np.empty((0, 128), np.float32)
    columns = {
        "encodings": np.concatenate([empty, *(batch.encodings for batch in kept)]),
        "person_ids": np.array([name for batch in kept for name in batch.person_ids], str),
        "space": np.array(kept[0].space if kept else ""),
    }
    for name in ("display_names", "external_refs", "fingerprints"):
        columns[name] = np.array([text for batch in kept for text in getattr(batch, name)], str)
    ends = [time.isoformat() if time else "" for batch in kept for time in batch.expire_times]
    columns["expire_times"] = np.array(ends, str)
    lines = "".join(map(_person_line, kept)).encode()
    columns["attributes"] = np.frombuffer(lines, np.uint8)
    with atomic_file(target) as file:
        np.savez_compressed(file, **columns)  # type: ignore[arg-type]
    return len(columns["encodings"])


def _person_line(batch: "FaceBatch") -> str:
    """A line of JSON for each person of a batch who has attributes, with the first face of each.

    Lines and not an array of texts, in which each would take as much as the longest.
    """
    columns = (batch.person_ids, batch.labels, batch.metadata, batch.suspended)
    names = ("person_id", "labels", "metadata", "suspended")
    return "".join(
        json.dumps(dict(zip(names, values, strict=True))) + "\n"
        for values in zip(*columns, strict=False)  # or the columns are empty
        if any(values[1:])
    )


WRITERS: "Mapping[str, Callable[[Path, Iterable[FaceBatch]], int]]" = {
    ".jsonl": _json_lines,
    ".npz": _npz,
}
