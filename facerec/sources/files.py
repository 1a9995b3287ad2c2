"""Encodings in files: pickles of face_recognition's users, npz, CSV and JSON lines."""

import csv
import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from facerec.sources import pickles
from facerec.sources.pickles import Bare, PickleRefused
from facerec.sources.rows import Refuse, Row, SourceRefused, moment, person_id, vector

FORMATS: Final = {
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".clf": "pickle",
    ".dat": "pickle",
    ".npz": "npz",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
MAX_PICKLE_BYTES: Final = 8 * 2**30
_TEXTS: Final = ("display_name", "external_ref", "expire_time", "fingerprint")


def format_of(path: Path) -> str:
    """A file's format by its suffix. Raises SourceRefused."""
    if path.suffix.lower() not in FORMATS:
        raise SourceRefused(f"name its format with --format: {', '.join(sorted(set(FORMATS.values())))}")
    return FORMATS[path.suffix.lower()]


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rows(path: Path, format: str, refuse: Refuse) -> Iterator[Row]:
    """The faces of a file in its order; `refuse` is told of those left out. Raises SourceRefused."""
    match format:
        case "pickle":
            return _of_pickle(path, refuse)
        case "npz":
            return _of_npz(path, refuse)
        case "csv":
            return _of_csv(path, refuse)
        case _:
            return _of_json_lines(path, refuse)


def _of_pickle(path: Path, refuse: Refuse) -> Iterator[Row]:
    if path.stat().st_size > MAX_PICKLE_BYTES:
        raise SourceRefused(f"a pickle of more than {MAX_PICKLE_BYTES >> 30} GiB is not read")
    try:
        found = pickles.read(path.read_bytes())
    except PickleRefused as error:
        raise SourceRefused(f"the pickle is not imported: {error}") from None
    encodings, names = _of_classifier(found) if isinstance(found, Bare) else _of_dict(found)
    return _of_columns(encodings, {"person_id": names}, refuse)


def _of_dict(found: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    if not isinstance(found, dict) or not {"encodings", "names"} <= set(found):
        raise SourceRefused(
            'the pickle holds neither {"encodings": [...], "names": [...]} nor a fitted KNeighborsClassifier'
        )
    return _listed(found["encodings"], "encodings"), _listed(found["names"], "names")


def _of_classifier(found: Bare) -> tuple[Sequence[Any], Sequence[Any]]:
    """The training data of a fitted classifier: `_y` are places in `classes_`."""
    state = found.state
    if found.kind.name != "KNeighborsClassifier" or not isinstance(state, dict):
        raise SourceRefused(f"of scikit-learn's models KNeighborsClassifier is read, not {found.kind.name}")
    if not {"_fit_X", "_y", "classes_"} <= set(state):
        raise SourceRefused("the KNeighborsClassifier is not fitted")
    classes = _listed(state["classes_"], "classes_")
    labels = np.asarray(state["_y"])
    if (
        labels.ndim != 1
        or labels.dtype.kind not in "iu"
        or not np.all((labels >= 0) & (labels < len(classes)))
    ):
        raise SourceRefused("the KNeighborsClassifier's labels are not places in its classes_")
    return _listed(state["_fit_X"], "_fit_X"), [classes[label] for label in labels.tolist()]


def _listed(value: Any, name: str) -> Sequence[Any]:
    if isinstance(value, np.ndarray):
        listed: Sequence[Any] = list(value) if value.ndim > 1 else value.tolist()
        return listed
    if isinstance(value, list):
        return value
    raise SourceRefused(f"{name} is no list or array")


def _of_npz(path: Path, refuse: Refuse) -> Iterator[Row]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise SourceRefused(f"the npz is damaged, or holds objects ({type(error).__name__})") from None
    people = "person_ids" if "person_ids" in columns else "names"
    if "encodings" not in columns or people not in columns:
        raise SourceRefused("an npz holds the arrays encodings, of shape (n, 128), and person_ids")
    named = {name: columns[f"{name}s"].tolist() for name in _TEXTS if f"{name}s" in columns}
    return _of_columns(columns["encodings"], {"person_id": columns[people].tolist(), **named}, refuse)


def _of_columns(
    encodings: Sequence[Any], columns: Mapping[str, Sequence[Any]], refuse: Refuse
) -> Iterator[Row]:
    for name, column in columns.items():
        if len(column) != len(encodings):
            raise SourceRefused(f"there are {len(encodings)} encodings and {len(column)} of {name}")
    for number, encoding in enumerate(encodings):
        record = {name: column[number] for name, column in columns.items()}
        if row := _row(f"row {number}", encoding, record, refuse):
            yield row


def _of_csv(path: Path, refuse: Refuse) -> Iterator[Row]:
    """A header, then a face a line; its vector is a JSON list in `encoding`, or 128 columns e0 to e127."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.DictReader(file)
        names = set(lines.fieldnames or ())
        if "person_id" not in names or not ({"encoding"} <= names or {"e0", "e127"} <= names):
            raise SourceRefused("a CSV has the columns person_id, and encoding or e0 to e127")
        for record in lines:
            place = f"line {lines.line_num}"
            try:
                text = record.get("encoding")
                encoding = json.loads(text) if text else [float(record[f"e{at}"]) for at in range(128)]
            except (ValueError, TypeError, KeyError, RecursionError):
                refuse(place, "encoding", "an encoding is a list of numbers, or 128 columns of them")
                continue
            if row := _row(place, encoding, record, refuse):
                yield row


def _of_json_lines(path: Path, refuse: Refuse) -> Iterator[Row]:
    """An object a line: person_id, encoding, and what else is known of the face."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            place = f"line {number}"
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                refuse(place, "", "the line is no JSON")
                continue
            if not isinstance(record, dict):
                refuse(place, "", "the line is no JSON object")
            elif row := _row(place, record.get("encoding"), record, refuse):
                yield row


def _row(place: str, encoding: Any, record: Mapping[str, Any], refuse: Refuse) -> Row | None:
    """A face of what a source holds of it; None where that was refused."""
    field = "encoding"
    try:
        values = vector(encoding)
        field = "person_id"
        named = person_id(record.get("person_id"))
        texts = {}
        for field in _TEXTS:
            texts[field] = record.get(field) or ""
            if not isinstance(texts[field], str):
                raise ValueError(f"{field} is a text")
        expires = moment(texts.pop("expire_time"))
    except ValueError as error:
        refuse(place, field, str(error))
        return None
    return Row(place, named, values, expire_time=expires, **texts)
