"""Removes a PNG's texts and color profile, which are not used and for which decoders have limits."""

import struct
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTATIONS: Final = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0\0")
"""Keywords of texts that may hold the orientation; XMP only where it is not compressed."""

_FRAME_BYTES: Final = 12
"""Bytes of a chunk's length, type and checksum."""


def without_texts(data: bytes) -> bytes:
    """Remove a PNG's color profile and its texts, except those that may hold the orientation."""
    kept, begin, at = [], 0, len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + _FRAME_BYTES + length
        if kind == b"iCCP" or (kind in _TEXTS and not data.startswith(_ORIENTATIONS, at + 8)):
            kept.append(data[begin:at])
            begin = end
        at = end
    return data if not kept else b"".join([*kept, data[begin:]])
