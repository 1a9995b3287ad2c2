"""How many fields a message has, counted before it is parsed.

A field of two bytes becomes a hundred when it is parsed, at some tens of nanoseconds each, during which
nothing else runs: parsing holds the interpreter. So what has more fields than a request needs is not parsed.

What is counted are the bytes of tags, lengths and numbers, of which a field has at least one. So a field
whose tag or number is longer counts for more, as reading it costs more.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from facerec.errors import FacerecError, Reason

MAX_COUNT: Final = 20_000  # 64 faces whose numbers are not packed have 9,000
MAX_STREAM_COUNT: Final = 400_000  # a chunk of 10,000 faces has 260,000
SLICE_FIELDS: Final = 500  # some 0.2 ms

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_GROUP_ENDS: Final = (3, 4)
_NONE: Final[Mapping[int, Any]] = {}


def check(raw: bytes, descriptor: Any, max_count: int) -> Iterator[None]:
    """Count fields, those within messages too; `descriptor` is the type's. Raises FacerecError.

    OPTION_INVALID where there are more than `max_count`. To be iterated to its end: each step counts
    SLICE_FIELDS. What is no message at all passes: it is the parser that refuses it, and it stops there.
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
                    "the request has more fields than this method takes; send less at once",
                    reason=Reason.OPTION_INVALID,
                )
    except IndexError:
        return


@functools.cache
def _messages(descriptor: Any) -> Mapping[int, Any]:
    """The types of those fields that are messages, by number."""
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
