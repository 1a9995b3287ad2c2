"""Encoded images to upright RGB arrays, with every limit checked before a pixel is decoded."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from encoder_service.decoding import jpeg, png, structure, tiff
from encoder_service.decoding.jpeg import JpegFile, Structure
from encoder_service.decoding.tiff import TiffFile
from encoder_service.domain.errors import ImageError, ImageInvalid, ImageTooLarge, ImageUnsupported
from encoder_service.pipeline import cancellation
from encoder_service.pipeline.cancellation import Cancelled
from facerec import signatures

Pixels = npt.NDArray[np.uint8]

FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

_ORIENTATION_TAG: Final = 0x0112
_ORIENTATIONS: Final[dict[int, Callable[[Pixels], Pixels]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
"""How to make upright what EXIF says lies otherwise (EXIF 2.32, 4.6.4, tag Orientation)."""

_LYING: Final = (5, 6, 7, 8)
"""Orientations in which the stored rows are the upright picture's columns."""

_JPEG_SCALES: Final = (0.125, 0.25, 0.5, 1.0)
"""Where libjpeg's inverse transform has quick kernels; the eighths between cost more than all of it."""

_STRIP_ROWS: Final = 256

_MAX_SIDE: Final = 65_535
"""Pixels. What is longer is narrower than a face, and libraries keep something for each row."""

_ONCE_SCANS: Final = 10
"""A JPEG of more scans, each read at any scale, is decoded once, whole; libjpeg writes so many."""

_MAX_MISSING_ROWS: Final = 16
"""Rows of pixels at the end of a JPEG that may be missing, or a fiftieth of them: a row or two of blocks."""

_MISSING: Final = 128
"""What libjpeg leaves, in each channel, where a file ends too early."""

_CONVERTED: Final = {"RGB", "L", "LA", "La", "P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
"""Pillow's modes of 8 bits a channel, which its own conversion to RGB serves."""

_ONE_BIT: Final = "a face in two colors can't be encoded; send the image in shades of grey or in color"

# The limit on pixels is ours, is read from the header, and is the operator's to set.
Image.MAX_IMAGE_PIXELS = None


@dataclasses.dataclass(frozen=True)
class ImageLimits:
    """The most bytes an encoded image may have and the most pixels (width times height)."""

    max_bytes: int = 16 * 1024 * 1024
    max_pixels: int = 64_000_000


@dataclasses.dataclass(frozen=True)
class Header:
    """What is known of an image before it is decoded: its size in pixels as stored, and a JPEG's scans."""

    width: int
    height: int
    scans: int = 0
    """0 where it is no JPEG."""

    jpeg: Structure | None = None
    """What a JPEG's markers say; None where it is none."""


def read_header(data: bytes, limits: ImageLimits) -> Header:
    """Hold an image to the limits without decoding it.

    Raises ImageTooLarge, ImageUnsupported, ImageInvalid.
    """
    image, header = _open_checked(data, limits)
    image.close()
    return header


def decode(data: bytes, limits: ImageLimits) -> Pixels:
    """Decode an image to uint8 RGB (height, width, 3), upright by its EXIF orientation, contiguous.

    Ordinary pictures come out as Pillow's `convert("RGB")` has them, which is what
    `face_recognition.load_image_file` gives. Of an animation the first frame counts, of a TIFF the
    first page. Raises ImageTooLarge, ImageUnsupported, ImageInvalid.
    """
    with Picture(data, limits) as picture:
        return picture.pixels(1.0).values


@dataclasses.dataclass(frozen=True, eq=False)
class Scaled:
    """The upright pixels of a picture, uint8 RGB (height, width, 3), `scale` times its size."""

    values: Pixels
    scale: float


class Picture:
    """An image whose header was read and found within the limits, decoded as far as it is asked for.

    `header` is what `read_header` said of it, where it was asked before. `width` and `height` are the upright
    image's. Raises ImageTooLarge, ImageUnsupported, ImageInvalid.
    """

    def __init__(self, data: bytes, limits: ImageLimits, header: Header | None = None) -> None:
        if header is None:
            self._image, header = _open_checked(data, limits)
        else:
            self._image = _open(data, header.jpeg)
        self._data = data
        self._scans = header.scans
        self._quick = self._image.mode in ("RGB", "L")
        self._orientation = _orientation(self._image)
        width, height = self._image.size
        self.width, self.height = (height, width) if self._orientation in _LYING else (width, height)
        self._decoded: Scaled | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._image.close()

    @property
    def decoded_scale(self) -> float:
        """The scale at which it is decoded so far; 0 where it is not."""
        return self._decoded.scale if self._decoded else 0.0

    def pixels(self, scale: float) -> Scaled:
        """Decode at `scale` (at most 1) or more; a JPEG at 1/8, 1/4 or 1/2 where that is enough.

        What was decoded last is kept and serves what needs no more. Raises ImageUnsupported,
        ImageInvalid.
        """
        if self._decoded is None or self._decoded.scale < scale:
            self._decoded = None
            self._decoded = self._decode(scale)
        return self._decoded

    def _decode(self, scale: float) -> Scaled:
        try:
            pixels, factor = self._as_stored(scale)
        except (MemoryError, ImageError, Cancelled):
            raise
        except Exception:
            # Decoders of hostile bytes raise nearly anything; whatever it is, the bytes are at fault.
            raise _damaged(self._image) from None
        make_upright = _ORIENTATIONS.get(self._orientation)
        return Scaled(np.ascontiguousarray(make_upright(pixels) if make_upright else pixels), factor)

    def _as_stored(self, scale: float) -> tuple[Pixels, float]:
        image = self._image
        if not isinstance(image, JpegFile):
            return _to_rgb(image), 1.0
        once = self._scans > _ONCE_SCANS
        factor = 1.0 if once else next(factor for factor in _JPEG_SCALES if factor >= scale)
        pixels = _decode_jpeg(image.data, image.size, factor) if self._quick and not once else None
        self._quick = pixels is not None  # what it fails at after all scans is not tried again
        if pixels is None:
            pixels = _draft(self._data, image.structure, factor)
        if not image.structure.ended:
            _check_rows(image, pixels, factor)
        return pixels, factor


def _open_checked(data: bytes, limits: ImageLimits) -> tuple[Image.Image, Header]:
    _check_bytes(data, limits)
    scans = structure.check(data, limits.max_pixels)
    image = _open(data)
    try:
        return image, _check_header(image, scans, limits)
    except BaseException:
        image.close()
        raise


def _open(data: bytes, structure: Structure | None = None) -> Image.Image:
    try:
        if data.startswith(jpeg.SIGNATURE):
            return JpegFile(data, structure)
        if data.startswith(tiff.SIGNATURES):
            return TiffFile(cancellation.Source(data))
        bare = png.without_texts(data) if data.startswith(png.SIGNATURE) else data
        return Image.open(cancellation.Source(bare), formats=FORMATS)
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
    return ImageInvalid(f"the bytes are no image; {accepted}")


def _check_header(image: Image.Image, scans: int, limits: ImageLimits) -> Header:
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
        raise ImageUnsupported(_ONE_BIT)
    if image.mode not in _CONVERTED and not image.mode.startswith("I;16"):
        raise ImageUnsupported(f"images of mode {image.mode} are not supported; send 8 or 16 bits a channel")
    if isinstance(image, JpegFile) and not (image.structure.ended or image.structure.all_scans_begun):
        raise _damaged(image)
    return Header(width, height, scans, image.structure if isinstance(image, JpegFile) else None)


def _to_rgb(image: Image.Image) -> Pixels:
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
        raise ImageUnsupported(_ONE_BIT)
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


def _draft(data: bytes, structure: Structure, scale: float) -> Pixels:
    """Decode a JPEG by Pillow, at a scale libjpeg offers."""
    with JpegFile(data, structure) as image:
        # A draft is never smaller than asked for, and one pixel more would take the next larger scale.
        image.draft(None, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
        return _to_rgb(image)


def _decode_jpeg(data: bytes, size: tuple[int, int], scale: float) -> Pixels | None:
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


def _check_rows(image: Image.Image, pixels: Pixels, scale: float) -> None:
    """Raise ImageInvalid where more than the last few rows of a JPEG that was cut short are missing.

    Of CMYK it can't be told, as what is missing has the color of some ink.
    """
    missing = max(math.ceil(_MAX_MISSING_ROWS * scale), len(pixels) // 50)
    if image.mode == "CMYK" or len(pixels) <= missing or (pixels[-missing - 1] == _MISSING).all():
        raise _damaged(image)


def _damaged(image: Image.Image) -> ImageInvalid:
    return ImageInvalid(f"the {image.format} image is truncated or damaged; send all of it")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none, it can't be read, or Pillow follows it by itself."""
    if image.format == "TIFF":
        return 1
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a damaged EXIF block does not spoil the picture
        return 1
    return value if isinstance(value, int) else 1
