"""How many fields a message has, counted before it is parsed.

A field of two bytes becomes a hundred when it is parsed, at some tens of nanoseconds each, during which
nothing else runs: parsing holds the interpreter. So what has more fields than a request needs is not parsed.
"""

from typing import Any, Final

from facerec.errors import FacerecError, Reason

MAX_FIELDS: Final = 20_000  # 64 faces whose numbers are not packed have 9,000
MAX_STREAM_FIELDS: Final = 100_000  # a chunk of 10,000 faces has 80,000
LEAST_BYTES: Final = 2  # of a field

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED: Final = {_FIXED64: 8, _FIXED32: 4}
_GROUP_ENDS: Final = (3, 4)


def check(raw: bytes, descriptor: Any, max_fields: int) -> None:
    """Count fields, those within messages too; `descriptor` is the type's. Raises FacerecError.

    OPTION_INVALID where there are more than `max_fields`.
    What is no message at all passes: it is the parser that refuses it, and it stops there.
    """
    count = at = 0
    ends: list[tuple[int, Any]] = []
    size = len(raw)
    try:
        while size - at > (max_fields - count) * LEAST_BYTES:
            while ends and at >= ends[-1][0]:
                descriptor = ends.pop()[1]
            tag, at = _varint(raw, at)
            count += 1
            kind = tag & 7
            if kind == _VARINT:
                _, at = _varint(raw, at)
            elif kind == _BYTES:
                length, at = _varint(raw, at)
                inner = _message(descriptor, tag >> 3)
                if inner is None:
                    at += length
                else:
                    ends.append((at + length, descriptor))
                    descriptor = inner
            elif kind in _FIXED:
                at += _FIXED[kind]
            elif kind not in _GROUP_ENDS:
                return
            if count > max_fields:
                raise FacerecError(
                    f"the request has more than {max_fields:,} fields; send less at once",
                    reason=Reason.OPTION_INVALID,
                )
    except IndexError:
        return


def _message(descriptor: Any, number: int) -> Any:
    """The type of a field that is a message; None for any other."""
    field = descriptor.fields_by_number.get(number) if descriptor is not None else None
    return field.message_type if field is not None else None


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError
