"""Decodes an opened image to RGB of 8 bits a channel, in its stored orientation."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from encoder_service.decoding.header import ONE_BIT, damaged
from encoder_service.decoding.jpeg import JpegFile, JpegMarkers
from encoder_service.decoding.tiff import TiffFile
from encoder_service.domain import cancellation
from encoder_service.domain.errors import ImageUnsupported

Pixels = npt.NDArray[np.uint8]

_STRIP_ROWS: Final = 256

_MAX_MISSING_ROWS: Final = 16
"""Pixel rows that may be missing at the end of a JPEG, or a fiftieth of all: one or two rows of blocks."""

_MISSING: Final = 128
"""The value, in each channel, of pixels that libjpeg could not decode because the file ends too early."""


def to_rgb(image: Image.Image) -> Pixels:
    """Decode an image to uint8 RGB (height, width, 3). Raises ImageUnsupported, and what Pillow raises."""
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255, which makes nearly all pixels white.
        shades = _to_array(image)
        if isinstance(image, TiffFile):
            shades = image.to_16_bits(shades)
        grey = (shades.astype(np.uint32) + 128) // 257
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    # Converting an RGB image would copy it.
    pixels: Pixels = _to_array(image if image.mode == "RGB" else image.convert("RGB"))
    colors = image.getcolors(2) if image.mode in ("P", "L") and image.format != "JPEG" else None
    if colors is not None and len(colors) == 2:  # a 1-bit image stored as 8-bit grey or with a palette
        raise ImageUnsupported(ONE_BIT)
    return pixels


def _to_array(image: Image.Image) -> npt.NDArray[Any]:
    """Copy an image strip by strip, as a single copy of a large image would hold the GIL for long."""
    first = np.asarray(image.crop((0, 0, image.width, 1)))
    pixels = np.empty((image.height, *first.shape[1:]), first.dtype)
    for top in range(0, image.height, _STRIP_ROWS):
        cancellation.check()
        bottom = min(top + _STRIP_ROWS, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def decode_with_pillow(data: bytes, markers: JpegMarkers, scale: float) -> Pixels:
    """Decode a JPEG with Pillow, at a scale that libjpeg offers."""
    with JpegFile(data, markers) as image:
        # Pillow never drafts smaller than requested, and one pixel more would take the next larger scale.
        image.draft(None, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
        return to_rgb(image)


def decode_with_turbojpeg(data: bytes, size: tuple[int, int], scale: float) -> Pixels | None:
    """Decode a JPEG with TurboJPEG, to the same pixels as Pillow but faster; None where Pillow has to."""
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if colorspace not in ("YCbCr", "Gray") or (width, height) != size:
            return None
        rows, columns = (math.ceil(pixels * scale) for pixels in (height, width))
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=rows, min_width=columns)
    except (ValueError, KeyError):  # truncated, or unusual such as 4:4:1: Pillow distinguishes these
        return None
    return pixels


def check_missing_rows(image: Image.Image, pixels: Pixels, scale: float) -> None:
    """Raise ImageInvalid where a truncated JPEG lacks more than its last few rows.

    It also raises for CMYK, where missing pixels cannot be recognized: they look like some ink's color.
    """
    missing = max(math.ceil(_MAX_MISSING_ROWS * scale), len(pixels) // 50)
    if image.mode == "CMYK" or len(pixels) <= missing or (pixels[-missing - 1] == _MISSING).all():
        raise damaged(image)
