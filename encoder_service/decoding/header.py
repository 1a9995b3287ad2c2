"""Reads an encoded image's header and checks every limit, before a pixel is decoded."""

import dataclasses
from typing import Final

from PIL import Image

from encoder_service.decoding import jpeg, png, structure, tiff
from encoder_service.decoding.jpeg import JpegFile, JpegMarkers
from encoder_service.decoding.tiff import TiffFile
from encoder_service.domain import cancellation
from encoder_service.domain.cancellation import Cancelled
from encoder_service.domain.errors import ImageError, ImageInvalid, ImageTooLarge, ImageUnsupported
from facerec import signatures

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

_MAX_SIDE: Final = 65_535
"""Pixels. A longer image is narrower than a face, and libraries keep memory per row."""

_CONVERTED: Final = {"RGB", "L", "LA", "La", "P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
"""Pillow's modes of 8 bits a channel, which Pillow converts to RGB."""

ONE_BIT: Final = "a face in two colors can't be encoded; send the image in shades of grey or in color"

# The operator's own limit on pixels is checked against the header instead of Pillow's.
Image.MAX_IMAGE_PIXELS = None


@dataclasses.dataclass(frozen=True)
class ImageLimits:
    """The most bytes that an encoded image may have, and the most pixels (width times height)."""

    max_bytes: int = 16 * 1024 * 1024
    max_pixels: int = 64_000_000


@dataclasses.dataclass(frozen=True)
class Header:
    """An image's size as stored, in pixels, and for a JPEG the number of its scans and its markers."""

    width: int
    height: int
    scan_count: int = 0
    """0 for other formats than JPEG."""

    jpeg_markers: JpegMarkers | None = None
    """What a JPEG's markers say; None for other formats."""


def read_header(data: bytes, limits: ImageLimits) -> Header:
    """Check an image against the limits, without decoding it.

    Raises ImageTooLarge, ImageUnsupported, ImageInvalid.
    """
    image, header = open_checked(data, limits)
    image.close()
    return header


def open_checked(data: bytes, limits: ImageLimits) -> tuple[Image.Image, Header]:
    """Open an image and check it against the limits; returns it with its header. Raises as `read_header`."""
    _check_bytes(data, limits)
    scan_count = structure.check_and_count_scans(data, limits.max_pixels)
    image = open_image(data)
    try:
        return image, _check_header(image, scan_count, limits)
    except BaseException:
        image.close()
        raise


def open_image(data: bytes, markers: JpegMarkers | None = None) -> Image.Image:
    """Open an image; `markers` is a JPEG's, if already read. Raises ImageUnsupported, ImageInvalid."""
    try:
        if data.startswith(jpeg.SIGNATURE):
            return JpegFile(data, markers)
        if data.startswith(tiff.SIGNATURES):
            return TiffFile(cancellation.CancellableReader(data))
        stripped = png.without_texts(data) if data.startswith(png.SIGNATURE) else data
        return Image.open(cancellation.CancellableReader(stripped), formats=FORMATS)
    except (MemoryError, ImageError, Cancelled):
        raise
    except Exception as error:
        raise _unreadable(data, error) from None


def _check_bytes(data: bytes, limits: ImageLimits) -> None:
    if not data:
        raise ImageInvalid("the image is empty")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the image has {len(data)} bytes; at most {limits.max_bytes} are accepted")


def _unreadable(data: bytes, error: Exception) -> ImageInvalid | ImageUnsupported:
    accepted = f"accepted are {', '.join(FORMATS)}"
    name = signatures.foreign_format(data)
    if name is not None:
        return ImageUnsupported(f"{name} images are not supported; {accepted}")
    if data.startswith(b"BM") and str(error).startswith("Unsupported BMP"):
        return ImageUnsupported("BMP images of this depth or layout are not supported; send 24 bits a pixel")
    if signatures.is_accepted(data):
        return ImageInvalid("the image is truncated or damaged; send all of it")
    return ImageInvalid(f"the bytes are not an image; {accepted}")


def _check_header(image: Image.Image, scan_count: int, limits: ImageLimits) -> Header:
    width, height = image.size
    if max(width, height) > _MAX_SIDE:
        raise ImageTooLarge(
            f"the image has {width} x {height} pixels; at most {_MAX_SIDE} a side are accepted"
        )
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"the image has {width} x {height} pixels; at most {limits.max_pixels} in all are accepted"
        )
    if min(width, height) < 1:
        raise ImageInvalid("the image has no pixels")
    if image.mode == "1":
        raise ImageUnsupported(ONE_BIT)
    if image.mode not in _CONVERTED and not image.mode.startswith("I;16"):
        raise ImageUnsupported(f"images of mode {image.mode} are not supported; send 8 or 16 bits a channel")
    if isinstance(image, JpegFile) and not (image.markers.ended or image.markers.all_scans_begun):
        raise damaged(image)
    return Header(width, height, scan_count, image.markers if isinstance(image, JpegFile) else None)


def damaged(image: Image.Image) -> ImageInvalid:
    """The error of an image that cannot be decoded to its end."""
    return ImageInvalid(f"the {image.format} image is truncated or damaged; send all of it")
