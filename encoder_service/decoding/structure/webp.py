"""Bounds on the chunks of a WebP (RFC 9649, 2)."""

import struct
from typing import Final

from encoder_service.decoding.structure import tiff
from encoder_service.decoding.structure.bounds import check_count

_MAX_CHUNKS: Final = 65_536
"""A photo has at most six, and an animation one per frame."""

_HEADER_BYTES: Final = 12


def check(data: bytes, max_pixels: int) -> None:
    """Check the chunks of a WebP. Raises ImageInvalid."""
    del max_pixels  # a WebP's pixels are bounded by its width and height alone
    at, count = _HEADER_BYTES, 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        count += 1
        check_count(count, _MAX_CHUNKS, "WebP chunks")
        if kind == b"EXIF":
            tiff.check_exif(data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
