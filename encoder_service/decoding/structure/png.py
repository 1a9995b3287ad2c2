"""Bounds on the chunks of a PNG (ISO/IEC 15948, 5.3)."""

import struct
from typing import Final

from encoder_service.decoding.structure import tiff
from encoder_service.decoding.structure.bounds import check_count

_MAX_CHUNKS: Final = 65_536
"""Encoders split a picture into chunks of 8 KB or more: 2,048 of them in 16 MB."""

_MAX_LEADING_CHUNKS: Final = 1_000
"""Chunks before the pixels: palette, profile, text."""

_MAX_COMPRESSED: Final = 64
"""Compressed texts and color profiles, each of which may inflate to a megabyte."""

_COMPRESSED: Final = (b"zTXt", b"iTXt", b"iCCP")
_PICTURE: Final = (b"IDAT", b"fdAT")
_SIGNATURE_BYTES: Final = 8


def check(data: bytes, max_pixels: int) -> None:
    """Check the chunks of a PNG. Raises ImageInvalid."""
    del max_pixels  # a PNG's pixels are bounded by its width and height alone
    at, count, leading, compressed, in_picture = _SIGNATURE_BYTES, 0, 0, 0, False
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        count += 1
        in_picture = in_picture or kind in _PICTURE
        leading += not in_picture
        compressed += kind in _COMPRESSED
        check_count(count, _MAX_CHUNKS, "PNG chunks")
        check_count(leading, _MAX_LEADING_CHUNKS, "PNG chunks before its pixels")
        check_count(compressed, _MAX_COMPRESSED, "compressed texts and profiles")
        if kind == b"eXIf":
            tiff.check_exif(data[at + 8 : at + 8 + length])
        elif kind == b"IEND":
            return
        at += length + 12  # length, kind and CRC
