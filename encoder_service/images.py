"""Encoded images to upright RGB arrays, with every limit checked before a pixel is decoded."""

import dataclasses
import io
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from encoder_service import signatures
from encoder_service.errors import ImageInvalid, ImageTooLarge, ImageUnsupported

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

_MAX_SCANS: Final = 100
"""Scans of a progressive JPEG; cameras write about ten, each is a pass over every pixel."""

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


def decode(data: bytes, limits: ImageLimits) -> Pixels:
    """Decode an image to uint8 RGB (height, width, 3), upright by its EXIF orientation, contiguous.

    Ordinary pictures come out as Pillow's `convert("RGB")` has them, which is what
    `face_recognition.load_image_file` gives. Of an animation the first frame counts, of a TIFF the
    first page. Raises ImageTooLarge, ImageUnsupported, ImageInvalid.
    """
    _check_bytes(data, limits)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:
        raise _unreadable(data, error) from None
    with image:
        _check_header(image, data, limits)
        try:
            pixels = _to_rgb(image, data)
            make_upright = _ORIENTATIONS.get(_orientation(image))
        except (MemoryError, ImageUnsupported):
            raise
        except Exception:
            # Decoders of hostile bytes raise nearly anything; whatever it is, the bytes are at fault.
            raise ImageInvalid(f"the {image.format} image is truncated or damaged; send all of it") from None
    return np.ascontiguousarray(pixels if make_upright is None else make_upright(pixels))


def _check_bytes(data: bytes, limits: ImageLimits) -> None:
    if not data:
        raise ImageInvalid("the image is empty")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the image has {len(data)} bytes; at most {limits.max_bytes} are accepted")


def _unreadable(data: bytes, error: Exception) -> ImageInvalid | ImageUnsupported:
    if isinstance(error, MemoryError):
        raise error
    accepted = f"accepted are {', '.join(FORMATS)}"
    name = signatures.foreign_format(data)
    if name is not None:
        return ImageUnsupported(f"{name} images are not supported; {accepted}")
    if signatures.is_accepted(data):
        return ImageInvalid("the image is truncated or damaged; send all of it")
    return ImageInvalid(f"the bytes are no image; {accepted}")


def _check_header(image: Image.Image, data: bytes, limits: ImageLimits) -> None:
    width, height = image.size
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
    if image.format in ("JPEG", "MPO") and data.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageInvalid(f"the JPEG image has more than {_MAX_SCANS} scans")


def _to_rgb(image: Image.Image, data: bytes) -> Pixels:
    if image.format == "JPEG" and image.mode == "RGB":
        pixels = _decode_jpeg(data, image.size)
        if pixels is not None:
            return pixels
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255, which leaves white.
        grey = (np.asarray(image).astype(np.uint32) + 128) // 257
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    pixels = np.asarray(image.convert("RGB"))
    colors = image.getcolors(2) if image.mode in ("P", "L") else None
    if colors is not None and len(colors) == 2:  # 1-bit in a format or a palette that has no such depth
        raise ImageUnsupported(_ONE_BIT)
    return pixels


def _decode_jpeg(data: bytes, size: tuple[int, int]) -> Pixels | None:
    """Decode by TurboJPEG, pixel for pixel what Pillow gives and quicker; None leaves it to Pillow."""
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if colorspace != "YCbCr" or (width, height) != size:
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:  # Pillow tells the truncated from the merely unusual
        return None
    return pixels


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or it can't be read."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a damaged EXIF block does not spoil the picture
        return 1
    return value if isinstance(value, int) else 1
