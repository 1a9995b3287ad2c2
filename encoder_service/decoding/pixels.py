"""The pixels of an opened image, as it is stored: RGB of 8 bits a channel."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from encoder_service.decoding.header import ONE_BIT, damaged
from encoder_service.decoding.jpeg import JpegFile, Structure
from encoder_service.decoding.tiff import TiffFile
from encoder_service.domain import cancellation
from encoder_service.domain.errors import ImageUnsupported

Pixels = npt.NDArray[np.uint8]

_STRIP_ROWS: Final = 256

_MAX_MISSING_ROWS: Final = 16
"""Rows of pixels at the end of a JPEG that may be missing, or a fiftieth of them: a row or two of blocks."""

_MISSING: Final = 128
"""What libjpeg leaves, in each channel, where a file ends too early."""


def to_rgb(image: Image.Image) -> Pixels:
    """Decode an image to uint8 RGB (height, width, 3). Raises ImageUnsupported, and what Pillow raises."""
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255, which leaves white.
        shades = _to_array(image)
        if isinstance(image, TiffFile):
            shades = image.to_16_bits(shades)
        grey = (shades.astype(np.uint32) + 128) // 257
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    # Converting what is RGB already would copy it.
    pixels: Pixels = _to_array(image if image.mode == "RGB" else image.convert("RGB"))
    colors = image.getcolors(2) if image.mode in ("P", "L") and image.format != "JPEG" else None
    if colors is not None and len(colors) == 2:  # 1-bit in a format or a palette that has no such depth
        raise ImageUnsupported(ONE_BIT)
    return pixels


def _to_array(image: Image.Image) -> npt.NDArray[Any]:
    """Copy an image strip by strip: one copy of a large one keeps the event loop from the GIL for long."""
    first = np.asarray(image.crop((0, 0, image.width, 1)))
    pixels = np.empty((image.height, *first.shape[1:]), first.dtype)
    for top in range(0, image.height, _STRIP_ROWS):
        cancellation.check()
        bottom = min(top + _STRIP_ROWS, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def draft(data: bytes, structure: Structure, scale: float) -> Pixels:
    """Decode a JPEG by Pillow, at a scale libjpeg offers."""
    with JpegFile(data, structure) as image:
        # A draft is never smaller than asked for, and one pixel more would take the next larger scale.
        image.draft(None, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
        return to_rgb(image)


def decode_jpeg(data: bytes, size: tuple[int, int], scale: float) -> Pixels | None:
    """Decode by TurboJPEG, pixel for pixel what Pillow gives and quicker; None leaves it to Pillow."""
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if colorspace not in ("YCbCr", "Gray") or (width, height) != size:
            return None
        rows, columns = (math.ceil(pixels * scale) for pixels in (height, width))
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=rows, min_width=columns)
    except (ValueError, KeyError):  # Pillow tells the truncated from the merely unusual, as 4:4:1 is
        return None
    return pixels


def check_rows(image: Image.Image, pixels: Pixels, scale: float) -> None:
    """Raise ImageInvalid where more than the last few rows of a JPEG that was cut short are missing.

    Of CMYK it can't be told, as what is missing has the color of some ink.
    """
    missing = max(math.ceil(_MAX_MISSING_ROWS * scale), len(pixels) // 50)
    if image.mode == "CMYK" or len(pixels) <= missing or (pixels[-missing - 1] == _MISSING).all():
        raise damaged(image)
