"""Bounds on a run-length encoded BMP."""

import struct
from typing import Final

from encoder_service.decoding.structure.bounds import check_count
from encoder_service.domain.errors import ImageTooLarge

_RUN_LENGTH: Final = (1, 2)
"""Compressions BI_RLE8 and BI_RLE4, which Pillow decodes in Python, not in native code."""

_RUN_LENGTH_SHARE: Final = 16
"""A run-length encoded BMP may have `max_pixels` divided by this."""

_BYTES_PER_PIXEL: Final = 2
"""Two bytes for each run of one pixel; a row has two more."""


def check(data: bytes, max_pixels: int) -> None:
    """Check a run-length encoded BMP. Raises ImageTooLarge and ImageInvalid."""
    if len(data) < 34 or struct.unpack_from("<I", data, 14)[0] < 40:
        return
    width, height, compression = struct.unpack_from("<iixxxxI", data, 18)
    pixels, limit = abs(width * height), max_pixels // _RUN_LENGTH_SHARE
    if compression not in _RUN_LENGTH:
        return
    if pixels > limit:
        raise ImageTooLarge(
            f"the run-length encoded BMP has {width} x {abs(height)} pixels; at most {limit} in all are "
            "accepted with this compression: save it as PNG"
        )
    max_bytes = _BYTES_PER_PIXEL * (pixels + abs(height)) + 2048  # headers and palette
    check_count(len(data), max_bytes, "bytes for a run-length encoded BMP of its size")
