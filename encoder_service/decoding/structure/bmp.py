"""Runs of a BMP."""

import struct
from typing import Final

from encoder_service.decoding.structure.bounds import check_count
from encoder_service.domain.errors import ImageTooLarge

_RUN_LENGTH: Final = (1, 2)
"""Compressions BI_RLE8 and BI_RLE4, which are decoded step by step, not by native code."""

_RUN_LENGTH_SHARE: Final = 16
"""So much less than `max_pixels` is accepted of them."""

_BYTES_A_PIXEL: Final = 2
"""Two bytes for runs of one pixel each, and for each row two more."""


def check(data: bytes, max_pixels: int) -> None:
    """Hold a run-length encoded BMP to bounds. Raises ImageTooLarge and ImageInvalid."""
    if len(data) < 34 or struct.unpack_from("<I", data, 14)[0] < 40:
        return
    width, height, compression = struct.unpack_from("<iixxxxI", data, 18)
    pixels, most = abs(width * height), max_pixels // _RUN_LENGTH_SHARE
    if compression not in _RUN_LENGTH:
        return
    if pixels > most:
        raise ImageTooLarge(
            f"the run-length encoded BMP has {width} x {abs(height)} pixels; at most {most} in all are "
            "accepted of its kind: save it as PNG"
        )
    max_bytes = _BYTES_A_PIXEL * (pixels + abs(height)) + 2048  # headers and palette
    check_count(len(data), max_bytes, "bytes for a run-length encoded BMP of its size")
