"""Reads forms from memory, photos and other fields, and queries. Nothing is written to a disk."""

import dataclasses
from typing import Any, Final
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from facerec.gateway import failures

MAX_PARTS: Final = 256
MAX_FIELD_BYTES: Final = 64 * 1024
MAX_QUERY_FIELDS: Final = 256


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of a form: a file if it has a file name, else a field."""

    name: str
    is_file: bool
    data: bytes

    @property
    def text(self) -> str:
        """A field's text. Raises Failed."""
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            raise failures.option_invalid(f"{self.name} is not UTF-8", self.name) from None


def parse(body: bytes, content_type: str) -> list[Part]:
    """The parts of a form, in order. Raises Failed for what is none, or has more parts than MAX_PARTS."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    collector = _Collector()
    try:
        parser = MultipartParser(boundary, collector.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise _invalid() from None
    if not boundary or not collector.is_complete:
        raise _invalid()
    return collector.parts


def parse_query(query: bytes) -> list[tuple[str, str]]:
    """The names and values of a query, in order; an empty value is one too.

    Raises ValueError for what is no text in UTF-8, or has more fields than MAX_QUERY_FIELDS.
    """
    return parse_qsl(
        query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
    )


def _invalid() -> failures.Failed:
    return failures.option_invalid("the body is no complete form of the type multipart/form-data")


class _Collector:
    """Collects the parts that a parser finds."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.is_complete = False
        self._begin()

    def callbacks(self) -> Any:
        """The callbacks for the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_name,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def _begin(self) -> None:
        if len(self.parts) >= MAX_PARTS:
            raise failures.option_invalid(f"the form has more than {MAX_PARTS} parts")
        self._header_name = self._header_value = b""
        self._disposition = b""
        self._chunks: list[bytes] = []
        self._size = 0

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise failures.option_invalid("a part of the form has no name")
        self._name = options[b"name"].decode(errors="replace")
        self._is_file = b"filename" in options

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if not self._is_file and self._size > MAX_FIELD_BYTES:
            raise failures.option_invalid(
                f"{self._name[:64]} has more than {MAX_FIELD_BYTES:,} bytes; send a photo as a file, as in "
                "curl -F image=@photo.jpg",
                self._name[:64],
            )
        self._chunks.append(data[start:end])

    def _end(self) -> None:
        self.parts.append(Part(self._name, self._is_file, b"".join(self._chunks)))

    def _complete(self) -> None:
        self.is_complete = True
