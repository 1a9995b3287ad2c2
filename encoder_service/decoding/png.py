"""A PNG file without the texts and profile that are of no use here, and that decoders bound."""

import struct
from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTATIONS: Final = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0\0")
"""Keywords of texts that may say how the picture lies; the XMP where it is not compressed."""

_FRAME_BYTES: Final = 12
"""Of a chunk, beside its content: length, kind, checksum."""


def without_texts(data: bytes) -> bytes:
    """Leave out of a PNG its color profile and texts, but for those that may hold its orientation."""
    kept, begin, at = [], 0, len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + _FRAME_BYTES + length
        if kind == b"iCCP" or (kind in _TEXTS and not data.startswith(_ORIENTATIONS, at + 8)):
            kept.append(data[begin:at])
            begin = end
        at = end
    return data if not kept else b"".join([*kept, data[begin:]])
