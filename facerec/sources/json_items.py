"""An incremental parser of a JSON file that holds one value."""

import codecs
import json
from collections.abc import Iterator
from typing import Any, Final

from facerec.sources.budget import MAX_FACE_BYTES
from facerec.sources.errors import SourceRefused
from facerec.sources.json_texts import DECODER, InvalidJson
from facerec.sources.source_file import SourceFile

_READ_BYTES: Final = 2**16
_SPACE: Final = " \t\r\n"


class JsonParser:
    """An incremental parser of a file. Its methods raise SourceRefused."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._left = file.size
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._line = 1  # of the first character of _text
        self._column = 1

    def next_character(self) -> str:
        """The next character after spaces, which is not consumed; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read(_READ_BYTES):
                return ""

    def expect(self, character: str, rule: str, location: str = "") -> None:
        """Consume the next character, which must be `character`; `rule` is the error's text if it is not."""
        if self.next_character() != character:
            raise self._invalid(rule, self._at, location)
        self._at += 1

    def end(self, kind: str) -> None:
        """Check that nothing follows the value, an array or object, which `kind` says."""
        if self.next_character():
            raise SourceRefused(f"there is more after the {kind}: write one {kind}, or JSON lines")
        self._file.check_unchanged()

    def elements(self, rule: str) -> Iterator[tuple[str, Any]]:
        """Consume the array that comes next: its items with their locations.

        `rule` is the error's text where no array comes next.
        """
        for number in self.items(rule):
            location = f"face {number}"
            yield location, self.value(location)

    def items(self, rule: str, noun: str = "face") -> Iterator[int]:
        """The numbers of the items of the array that comes next, from 1.

        The caller must consume each item before the next. `rule` is as for `elements`; `noun` is what an
        item is.
        """
        self.expect("[", rule)
        number = 0
        while self.next_character() != "]" or number:
            number += 1
            yield number
            if self.next_character() == "]":
                break
            plural = "people" if noun == "person" else f"{noun}s"
            self.expect(
                ",", f"{plural} are separated by commas, and the array ends with ]", f"{noun} {number}"
            )
        self.expect("]", "")

    def members(self) -> Iterator[str]:
        """The keys of the object that comes next; the caller must consume each value before the next key."""
        self.expect("{", "an object begins with {")
        number = 0
        while self.next_character() != "}" or number:
            number += 1
            if self.next_character() != '"':
                raise self._invalid("a key is a text", self._at, f"key {number}")
            key = self.value("")
            self.expect(":", "a key and its value are separated by a colon", key)
            yield key
            if self.next_character() == "}":
                break
            self.expect(",", "keys are separated by commas, and the object ends with }", key)
        self.expect("}", "")

    def is_nested(self) -> bool:
        """Whether an array of arrays comes next."""
        if self.next_character() != "[":
            return False
        ahead = 1
        while True:
            while self._at + ahead < len(self._text) and self._text[self._at + ahead] in _SPACE:
                ahead += 1
            if self._at + ahead < len(self._text):
                return self._text[self._at + ahead] == "["
            if not self._read(_READ_BYTES):
                return False

    def value(self, location: str) -> Any:
        """Consume the JSON value that comes next."""
        self.next_character()
        while True:
            try:
                found, self._at = DECODER.raw_decode(self._text, self._at)
                return found
            except json.JSONDecodeError as error:  # or the rest of the value was not read yet
                unread, fault = len(self._text) - self._at, error.pos - self._at
                if unread > MAX_FACE_BYTES:
                    raise SourceRefused(
                        "it takes more than 1 MiB: close each bracket", location=location
                    ) from None
                # Twice as much each time, so that repeated parsing costs little.
                if not self._read(max(_READ_BYTES, unread)):
                    raise self._invalid(error.msg, self._at + fault, location) from None
            except InvalidJson:
                raise SourceRefused(
                    "its object has a key twice: write each once", location=location
                ) from None
            except (ValueError, RecursionError):
                raise SourceRefused(
                    "it has a number that is too long, or arrays nested too deeply: write 128 numbers",
                    location=location,
                ) from None

    def _invalid(self, rule: str, at: int, location: str) -> SourceRefused:
        """The error at a character of the text that was read, which broke the rule."""
        cut = "; the file is cut off" if self._is_cut_off(rule, at) else ""
        line, column = self._position(at)
        where = f"line {line}, column {column}"
        return SourceRefused(f"it is not valid JSON from {where} on{cut}: {rule}", location=location)

    def _is_cut_off(self, rule: str, at: int) -> bool:
        """Whether the file ends within a value: at the fault, or in the string that begins there."""
        return not self._text[at:].strip(_SPACE) or rule.startswith("Unterminated string")

    def _position(self, at: int) -> tuple[int, int]:
        """The line and column, from 1, of a character of the text that was read."""
        lines = self._text.count("\n", 0, at)
        column = at - self._text.rfind("\n", 0, at) if lines else self._column + at
        return self._line + lines, column

    def _read(self, size_bytes: int) -> bool:
        """Read more of the file; returns False at its end."""
        data = self._file.stream.read(min(size_bytes, self._left))
        self._left -= len(data)
        self._file.share = 1 - self._left / max(1, self._file.size)
        try:
            more = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError:
            raise SourceRefused("it is not UTF-8: convert the file with `iconv -t UTF-8`") from None
        self._line, self._column = self._position(self._at)
        self._text = self._text[self._at :] + more
        self._at = 0
        return bool(data)
