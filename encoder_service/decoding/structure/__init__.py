"""Bounds on the structure of an image file, checked before a library opens it.

A few bytes of a file may cause much work: a scan is a pass over every pixel, a tile may be larger than its
picture, and even an empty segment takes a step. Each module parses one format as its decoder will, counts
these parts, and refuses counts that no ordinary picture reaches. Damaged files are left to the decoder, which
reports them.
"""

from collections.abc import Callable
from typing import Final

from encoder_service.decoding.structure import bmp, gif, jpeg, png, tiff, webp

_JPEG: Final = b"\xff\xd8\xff"
_CHECKS: Final[dict[bytes, Callable[[bytes, int], None]]] = {
    b"\x89PNG\r\n\x1a\n": png.check,
    b"RIFF": webp.check,
    b"BM": bmp.check,
    b"GIF8": gif.check,
    b"II": tiff.check,
    b"MM": tiff.check,
}


def check_and_count_scans(data: bytes, max_pixels: int) -> int:
    """Check an encoded image's structure, and return its number of scans, 0 where it is not a JPEG.

    Bounds on work per pixel grow with `max_pixels`. Raises ImageInvalid, ImageTooLarge and ImageUnsupported,
    naming the part of which there are too many.
    """
    if data.startswith(_JPEG):
        return jpeg.check_and_count_scans(data, max_pixels)
    for signature, check_format in _CHECKS.items():
        if data.startswith(signature):
            check_format(data, max_pixels)
    return 0
