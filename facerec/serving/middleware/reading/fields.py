"""Counts the fields of a message before it is parsed.

A field of two bytes takes about a hundred bytes and some tens of nanoseconds to parse, and parsing holds the
interpreter lock. So a message with more fields than a request needs is refused unparsed.

The count is of the bytes of tags, lengths and numbers, at least one a field. So a field with a longer tag or
number, which takes longer to read, counts for more.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from facerec.errors import FacerecError, Reason

MAX_COUNT: Final = 20_000  # 64 faces with unpacked numbers have 9,000
MAX_STREAM_COUNT: Final = 400_000  # a chunk of 10,000 faces has 260,000
SLICE_FIELDS: Final = 500  # take about 0.2 ms

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_GROUP_ENDS: Final = (3, 4)
_NONE: Final[Mapping[int, Any]] = {}


def check(raw: bytes, descriptor: Any, max_count: int) -> Iterator[None]:
    """Count the fields of a message, nested ones too, SLICE_FIELDS at each step of the iteration.

    `descriptor` is that of the message's type. Bytes that are not a valid message pass: the parser refuses
    them, and stops at the first invalid field. Raises FacerecError OPTION_INVALID if the count exceeds
    `max_count`.
    """
    count = at = steps = 0
    messages = _messages(descriptor)
    ends: list[tuple[int, Mapping[int, Any]]] = []
    size = len(raw)
    try:
        while size - at > max_count - count:
            steps += 1
            if steps % SLICE_FIELDS == 0:
                yield
            while ends and at >= ends[-1][0]:
                messages = ends.pop()[1]
            begin = at
            tag, at = _varint(raw, at)
            kind, skipped = tag & 7, 0
            if kind == _VARINT:
                _, at = _varint(raw, at)
            elif kind == _BYTES:
                length, at = _varint(raw, at)
                inner = messages.get(tag >> 3)
                if inner is None:
                    skipped = length
                else:
                    ends.append((at + length, messages))
                    messages = _messages(inner)
            elif kind in _FIXED:
                skipped = _FIXED[kind]
            elif kind not in _GROUP_ENDS:
                return
            count += at - begin
            at += skipped
            if count > max_count:
                raise FacerecError(
                    "the request has more fields than this method takes; send less in one request",
                    reason=Reason.OPTION_INVALID,
                )
    except IndexError:
        return


@functools.cache
def _messages(descriptor: Any) -> Mapping[int, Any]:
    """The types of the fields that are messages, by field number."""
    if descriptor is None:
        return _NONE
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = raw[at]
    at += 1
    if value < 128:
        return value, at
    value &= 127
    shift = 7
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError
