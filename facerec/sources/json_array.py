"""Reads encodings from JSON files: an array of objects, read one by one, or another known form."""

import codecs
import re
from collections.abc import Iterator
from typing import Final

from facerec.sources import face_api, fields, json_object, text
from facerec.sources.budget import MAX_FACE_BYTES
from facerec.sources.json_items import JsonParser
from facerec.sources.json_texts import InvalidJson, decode
from facerec.sources.rows import Refuse, Row, face
from facerec.sources.source_file import SourceFile

_READ_BYTES: Final = 2**16
_FIRST_KEY: Final = re.compile(rb'\{\s*"((?:[^"\\]|\\.)*)"\s*:')


def rows(file: SourceFile, refuse: Refuse) -> Iterator[Row]:
    """The faces in an array of objects, in one object of people or of columns, or in JSON lines."""
    if face_api.is_layout(file):
        return face_api.rows(file, refuse)
    head = file.stream.read(_READ_BYTES)
    text_head = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if text_head.startswith(b"{"):
        file.stream.seek(len(head) - len(text_head))
        is_object = _is_one_object(text_head, file.stream.readline(MAX_FACE_BYTES))
        read = json_object.rows if is_object else text.json_rows
    else:
        read = _array_rows if text_head.startswith(b"[") else text.json_rows
    file.stream.seek(0)
    return read(file, refuse)


def _is_one_object(head: bytes, line: bytes) -> bool:
    """Whether a text that begins with a brace is one object for all faces: it has no field of a face."""
    try:
        record = decode(line.decode())
        return isinstance(record, dict) and bool(record) and not record.keys() & fields.OF_FACES
    except (InvalidJson, UnicodeDecodeError):
        key = _FIRST_KEY.match(head)
        return key is not None and key[1].decode(errors="replace") not in fields.OF_FACES


def _array_rows(file: SourceFile, refuse: Refuse) -> Iterator[Row]:
    items = JsonParser(file)
    for location, record in items.elements("an array begins with ["):
        if not isinstance(record, dict):
            refuse(location, "", "it is not a JSON object")
        else:
            known = fields.of_go_face(record)
            fields.check(known, location)
            if row := face(location, known.get("encoding"), known, refuse):
                yield row
    items.end("array")
