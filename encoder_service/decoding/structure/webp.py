"""Chunks of a WebP (RFC 9649, 2)."""

import struct
from typing import Final

from encoder_service.decoding.structure import tiff
from encoder_service.decoding.structure.bounds import check_count

_MAX_CHUNKS: Final = 65_536
"""Those of a photo are six at most; each frame of an animation is one more."""

_HEADER_BYTES: Final = 12


def check(data: bytes, max_pixels: int) -> None:
    """Hold the chunks of a WebP to bounds. Raises ImageInvalid."""
    del max_pixels  # of a WebP they are its width and height alone
    at, count = _HEADER_BYTES, 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        count += 1
        check_count(count, _MAX_CHUNKS, "WebP chunks")
        if kind == b"EXIF":
            tiff.check_exif(data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
