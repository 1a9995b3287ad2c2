"""Encoded images to upright RGB arrays."""

import dataclasses
from collections.abc import Callable
from typing import Final, Self

import numpy as np
from PIL import Image

from encoder_service.decoding.header import Header, ImageLimits, damaged, open_checked, open_image
from encoder_service.decoding.jpeg import JpegFile
from encoder_service.decoding.pixels import Pixels, check_rows, decode_jpeg, draft, to_rgb
from encoder_service.domain.cancellation import Cancelled
from encoder_service.domain.errors import ImageError

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

_TRANSPOSED: Final = (5, 6, 7, 8)
"""Orientations in which the stored rows are the upright picture's columns."""

_JPEG_SCALES: Final = (0.125, 0.25, 0.5, 1.0)
"""Where libjpeg's inverse transform has quick kernels; the eighths between cost more than all of it."""

_ONCE_SCANS: Final = 10
"""A JPEG of more scans, each read at any scale, is decoded once, whole; libjpeg writes so many."""


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
            self._image, header = open_checked(data, limits)
        else:
            self._image = open_image(data, header.jpeg)
        self._data = data
        self._scans = header.scans
        self._quick = self._image.mode in ("RGB", "L")
        self._orientation = _orientation(self._image)
        width, height = self._image.size
        self.width, self.height = (height, width) if self._orientation in _TRANSPOSED else (width, height)
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
            # Decoders of hostile bytes raise nearly anything; whatever it is, the bytes are invalid.
            raise damaged(self._image) from None
        make_upright = _ORIENTATIONS.get(self._orientation)
        return Scaled(np.ascontiguousarray(make_upright(pixels) if make_upright else pixels), factor)

    def _as_stored(self, scale: float) -> tuple[Pixels, float]:
        image = self._image
        if not isinstance(image, JpegFile):
            return to_rgb(image), 1.0
        once = self._scans > _ONCE_SCANS
        factor = 1.0 if once else next(factor for factor in _JPEG_SCALES if factor >= scale)
        pixels = decode_jpeg(image.data, image.size, factor) if self._quick and not once else None
        self._quick = pixels is not None  # what it fails at after all scans is not tried again
        if pixels is None:
            pixels = draft(self._data, image.structure, factor)
        if not image.structure.ended:
            check_rows(image, pixels, factor)
        return pixels, factor


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none, it can't be read, or Pillow follows it by itself."""
    if image.format == "TIFF":
        return 1
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a damaged EXIF block does not spoil the picture
        return 1
    return value if isinstance(value, int) else 1
