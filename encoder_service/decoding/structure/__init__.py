"""What the structure of an image file multiplies, held to bounds before a library opens the file.

A few bytes of a file may stand for much work: a scan is a pass over every pixel, a tile may be larger than
its picture, an empty segment still costs its step. Each module walks the files of one format as its decoder
will, counts, and refuses what is beyond any file that is meant as a picture. What is damaged is left to the
decoder, which says so.
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


def check(data: bytes, max_pixels: int) -> int:
    """Hold the structure of an encoded image to bounds, and return how many scans it has, 0 if it is no JPEG.

    Bounds on what is done for each pixel grow with `max_pixels`. Raises ImageInvalid, ImageTooLarge and
    ImageUnsupported, naming what there is too much of.
    """
    if data.startswith(_JPEG):
        return jpeg.check(data, max_pixels)
    for signature, check_format in _CHECKS.items():
        if data.startswith(signature):
            check_format(data, max_pixels)
    return 0
