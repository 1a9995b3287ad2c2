"""Parses the operations of a pickle and their arguments, without reading the file as a whole."""

import codecs
import pickletools
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, Final

from facerec.sources.errors import SourceRefused

CODES: Final[Mapping[str, int]] = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}
NAMES: Final[Mapping[int, str]] = {code: name for name, code in CODES.items()}

WINDOW_BYTES: Final = 2**18
MAX_INTEGER_BYTES: Final = 16
"""The longest integer: a longer one is not an id, and slow to hash and to print."""

_MAX_NUMBER_CHARACTERS: Final = 64
_MAX_NAME_CHARACTERS: Final = 256
_LONGEST_FIXED: Final = 16
"""At least the size of any operation, without the text or bytes that follow it."""

_Table = dict[int, Any]


def _integer(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _plain_text(data: bytes) -> str:
    """Decode a text of Python 2, which may be the bytes of an array."""
    return data.decode("latin1")


def _same(data: bytes) -> bytes:
    return data


def _quoted(line: bytes) -> str:
    if len(line) < 2 or line[:1] not in {b"'", b'"'} or line[:1] != line[-1:]:
        raise SourceRefused("it has a text without quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin1")


def _decimal(line: bytes) -> int | bool:
    booleans = {b"00": False, b"01": True}
    return booleans[line] if line in booleans else int(line.removesuffix(b"L"))


_FIXED: Final[_Table] = {
    CODES[name]: struct.Struct(form)
    for name, form in {
        "BININT": "<i",
        "BININT1": "<B",
        "BININT2": "<H",
        "BINFLOAT": ">d",
        "BINGET": "<B",
        "LONG_BINGET": "<I",
        "BINPUT": "<B",
        "LONG_BINPUT": "<I",
        "PROTO": "<B",
        "FRAME": "<Q",
    }.items()
}
"""Operations whose argument is a number of fixed size."""

_ANY: Final = 2**63
_SIZED: Final[Mapping[int, tuple[struct.Struct, Callable[[bytes], Any], int]]] = {
    CODES[name]: (struct.Struct(form), decode, longest)
    for name, form, decode, longest in (
        ("SHORT_BINUNICODE", "<B", _text, _ANY),
        ("BINUNICODE", "<I", _text, _ANY),
        ("BINUNICODE8", "<Q", _text, _ANY),
        ("SHORT_BINSTRING", "<B", _plain_text, _ANY),
        ("BINSTRING", "<i", _plain_text, _ANY),
        ("SHORT_BINBYTES", "<B", _same, _ANY),
        ("BINBYTES", "<I", _same, _ANY),
        ("BINBYTES8", "<Q", _same, _ANY),
        ("BYTEARRAY8", "<Q", bytearray, _ANY),
        ("LONG1", "<B", _integer, MAX_INTEGER_BYTES),
        ("LONG4", "<i", _integer, MAX_INTEGER_BYTES),
    )
}
"""Operations with a length and that many bytes: the length's format, the decoder, the longest allowed."""

_LINES: Final[Mapping[int, tuple[Callable[[bytes], Any], int, int]]] = {
    CODES[name]: (decode, longest, count)
    for name, decode, longest, count in (
        ("INT", _decimal, _MAX_NUMBER_CHARACTERS, 1),
        ("LONG", _decimal, _MAX_NUMBER_CHARACTERS, 1),
        ("FLOAT", float, _MAX_NUMBER_CHARACTERS, 1),
        ("GET", _decimal, _MAX_NUMBER_CHARACTERS, 1),
        ("PUT", _decimal, _MAX_NUMBER_CHARACTERS, 1),
        ("STRING", _quoted, _ANY, 1),
        ("UNICODE", lambda line: line.decode("raw-unicode-escape"), _ANY, 1),
        ("GLOBAL", _plain_text, _MAX_NAME_CHARACTERS, 2),
    )
}
"""Operations with lines as arguments: the decoder, the longest line allowed, the number of lines."""

_NO_ARGUMENT, _IS_FIXED, _IS_SIZED, _HAS_LINES = range(4)
_KINDS: Final = [_NO_ARGUMENT] * 256
for _table, _kind in ((_FIXED, _IS_FIXED), (_SIZED, _IS_SIZED), (_LINES, _HAS_LINES)):
    for _code in _table:
        _KINDS[_code] = _kind


class Operations:
    """The operations of a pickle of `size` bytes, as pairs of a code and an argument; the last is STOP.

    `position` is the byte at which the last operation begins. Raises SourceRefused for bytes that are not a
    pickle, and the errors of decoding an argument.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.position = 0

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        kinds, fixed, stop = _KINDS, _FIXED, CODES["STOP"]
        # The data starts at byte `base`; from index `last` on more must be read.
        base, data, at, last = 0, b"", 0, -1
        code = -1
        while code != stop:
            if at > last:
                base, data, at = base + at, data[at:] + self._file.read(WINDOW_BYTES), 0
                if not data:
                    raise SourceRefused("it ends too early: it is truncated, or not a pickle")
                last = len(data) - (_LONGEST_FIXED if len(data) > _LONGEST_FIXED else 1)
            self.position = base + at
            code = data[at]
            at += 1
            kind = kinds[code]
            if kind == _NO_ARGUMENT:
                yield code, None
            elif kind == _IS_FIXED:
                form = fixed[code]
                yield code, form.unpack_from(data, at)[0]
                at += form.size
            else:
                take = self._sized if kind == _IS_SIZED else self._lines
                argument, after = take(code, data, base, at)
                at = after - base
                if at > len(data):  # the argument ended beyond the window: continue with a new window
                    base, data, at, last = after, b"", 0, -1
                    self._file.seek(after)
                yield code, argument

    def _sized(self, code: int, data: bytes, base: int, at: int) -> tuple[Any, int]:
        """The argument, and the position after it."""
        form, decode, longest = _SIZED[code]
        length = form.unpack_from(data, at)[0]
        at += form.size
        end = at + length
        if end <= len(data) and 0 <= length <= longest:
            return decode(data[at:end]), base + end
        if not 0 <= length <= min(longest, self._size - base - at):
            allowed = f", and {longest} are allowed" if longest < length else ", more than its file"
            raise SourceRefused(f"it has a value of {length:,} bytes{allowed}")
        self._file.seek(base + at)
        return decode(self._file.read(length)), base + end

    def _lines(self, code: int, data: bytes, base: int, at: int) -> tuple[Any, int]:
        """The argument, a tuple where it has several lines, and the position after it."""
        decode, longest, count = _LINES[code]
        parts = []
        for _ in range(count):
            end = data.find(b"\n", at)
            if end >= 0:
                line, at = data[at:end], end + 1
            else:
                self._file.seek(base + at)
                line = self._file.readline(min(longest, self._size) + 1)
                if not line.endswith(b"\n"):
                    raise SourceRefused("it has a line that is too long or does not end")
                base, data, at, line = base + at + len(line), b"", 0, line[:-1]
            if len(line) > longest:
                raise SourceRefused(f"it has a line of {len(line):,} bytes, and {longest} are allowed")
            parts.append(decode(line.removesuffix(b"\r")))
        return (parts[0] if count == 1 else tuple(parts)), base + at
