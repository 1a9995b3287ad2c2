"""The memory that each operation of a pickle takes."""

from collections.abc import Mapping
from typing import Final

from facerec.sources.pickles.operations import NAMES

NUMBERS: Final = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
"""Operations that push a number."""

_SLOT_BYTES: Final = 8
_COST_BYTES: Final[Mapping[str, int]] = {
    **dict.fromkeys(NUMBERS, 32 + _SLOT_BYTES),
    "BINFLOAT": 24 + _SLOT_BYTES,
    "BININT1": _SLOT_BYTES,  # Python has these objects already
    **dict.fromkeys(("EMPTY_LIST", "LIST", "EMPTY_DICT", "DICT"), 80 + _SLOT_BYTES),
    **dict.fromkeys(("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"), 64 + _SLOT_BYTES),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), 128),
    **dict.fromkeys(("SETITEM", "SETITEMS"), 128),
    **dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), 256),
    **dict.fromkeys(("REDUCE", "NEWOBJ", "NEWOBJ_EX"), 128),
}
"""The approximate memory of an operation; that of texts and bytes is measured in addition."""

COSTS: Final = [_COST_BYTES.get(NAMES.get(code, ""), _SLOT_BYTES) for code in range(256)]
"""The memory in bytes, by the operation's code."""
