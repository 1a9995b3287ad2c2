"""Reads encodings from CSV and JSON lines, one face at a time."""

import csv
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Self

from facerec.contract import DIMENSIONS
from facerec.sources import face_api, fields
from facerec.sources.budget import MAX_FACE_BYTES
from facerec.sources.errors import SourceRefused
from facerec.sources.json_texts import InvalidJson, decode
from facerec.sources.rows import ATTRIBUTES, TEXTS, Refuse, Row, face
from facerec.sources.source_file import SourceFile

_NUMBERED: Final = tuple(f"e{at}" for at in range(DIMENSIONS))
_COLUMNS: Final = frozenset({"person_id", "encoding", *TEXTS, *ATTRIBUTES, *_NUMBERED})
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


class _Lines:
    """The lines of a file as texts with their line ends; `number` is that of the last line, from 1.

    The lines of one face may have 1 MiB: call `next_face` where the next begins. Raises SourceRefused.
    """

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._left = file.size
        self._face_bytes = 0
        self.number = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._file.stream.readline(MAX_FACE_BYTES + 1)
        if not line or self._left < 0:
            self._file.check_unchanged()
            raise StopIteration
        self.number += 1
        self._left -= len(line)
        self._file.share = 1 - max(0, self._left) / self._file.size
        self._face_bytes += len(line)
        if self._face_bytes > MAX_FACE_BYTES:
            raise self._refused(
                f"a face takes more than {MAX_FACE_BYTES >> 20} MiB: end each line, and close each quote"
            )
        try:
            text = line.decode()
        except UnicodeDecodeError:
            before = "UTF-16" if self.number == 1 and line.startswith(_UTF_16) else "WINDOWS-1252"
            raise self._refused(
                f"it is not UTF-8: convert the file with `iconv -f {before} -t UTF-8`, or from its encoding"
            ) from None
        if "\0" in text:
            raise self._refused(
                "it has NUL characters: write the file again, or convert it with `iconv -f UTF-16 -t UTF-8`"
            )
        return text.removeprefix("\ufeff") if self.number == 1 else text

    def next_face(self) -> None:
        """Declare that the next line begins another face."""
        self._face_bytes = 0

    def _refused(self, message: str) -> SourceRefused:
        return SourceRefused(message, location=f"line {self.number}")


def json_rows(file: SourceFile, refuse: Refuse) -> Iterator[Row]:
    """The faces of JSON lines: an object with person_id, encoding and optional fields in each."""
    if face_api.is_layout(file):
        yield from face_api.rows(file, refuse)
        return
    lines = _Lines(file)
    for line in lines:
        lines.next_face()
        if line.isspace():
            continue
        if lines.number == 1 and line.strip() == "[":
            raise SourceRefused(
                "it is one JSON array: name it .json, or give --format json", location="line 1"
            )
        location = f"line {lines.number}"
        try:
            record = decode(line)
        except InvalidJson as error:
            refuse(location, "", str(error))
            continue
        if not isinstance(record, dict):
            refuse(location, "", "the line is not a JSON object")
            continue
        record = fields.of_go_face(record)
        fields.check(record, location)
        if row := face(location, record.get("encoding"), record, refuse):
            yield row


def csv_rows(file: SourceFile, refuse: Refuse) -> Iterator[Row]:
    """The faces of a CSV: a header, then one face a line.

    The vector is a JSON list in the column `encoding`, or in 128 columns e0 to e127.
    """
    lines = _Lines(file)
    records = csv.reader(lines, strict=True)
    try:
        header = next(records, [])
        encoding_of = _encoding_of(header)
        indices = {
            field: header.index(field) for field in ("person_id", *TEXTS, *ATTRIBUTES) if field in header
        }
        for record in records:
            lines.next_face()
            if not record:
                continue
            location = f"line {lines.number}"
            if len(record) != len(header):
                refuse(location, "", f"it has {len(record)} columns, and the header has {len(header)}")
                continue
            try:
                encoding = encoding_of(record)
            except ValueError:
                refuse(location, "encoding", "an encoding is a list of numbers, or 128 columns of them")
                continue
            if row := face(location, encoding, {field: record[at] for field, at in indices.items()}, refuse):
                yield row
    except csv.Error as error:
        raise SourceRefused(
            f"it is not valid CSV from there on ({error}): close each quote, end each line with a line feed",
            location=f"line {lines.number}",
        ) from None


def _encoding_of(header: Sequence[str]) -> Callable[[Sequence[str]], Any]:
    """The function that reads the encoding of a record with this header. Raises SourceRefused."""
    known = [name for name in header if name in _COLUMNS]
    if len(set(known)) != len(known):
        raise SourceRefused("a column name is there twice: give each column another name", location="line 1")
    numbered = [header.index(name) for name in _NUMBERED] if set(_NUMBERED) <= set(header) else []
    listed = header.index("encoding") if "encoding" in header else None
    if "person_id" not in header or (listed is None and not numbered):
        fields.check([*header, *(["encoding"] if numbered else [])], "line 1", hint="name the column")
        raise SourceRefused(
            "a CSV needs the columns person_id, and encoding or e0 to e127", location="line 1"
        )

    def encoding_of(record: Sequence[str]) -> Any:
        if listed is not None and record[listed]:
            return decode(record[listed])
        return [float(record[at]) for at in numbered]  # [] where the encoding is missing

    return encoding_of
