"""Encoded images to upright RGB arrays."""

import dataclasses
from collections.abc import Callable
from typing import Final, Self

import numpy as np
from PIL import Image

from encoder_service.decoding.header import Header, ImageLimits, damaged, open_checked, open_image
from encoder_service.decoding.jpeg import JpegFile
from encoder_service.decoding.pixels import (
    Pixels,
    check_missing_rows,
    decode_with_pillow,
    decode_with_turbojpeg,
    to_rgb,
)
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
"""The rotation or reflection that makes an image upright, by its EXIF orientation (EXIF 2.32, 4.6.4)."""

_TRANSPOSED: Final = (5, 6, 7, 8)
"""Orientations in which the stored rows are the upright picture's columns."""

_JPEG_SCALES: Final = (0.125, 0.25, 0.5, 1.0)
"""The scales for which libjpeg's inverse transform has fast kernels; other eighths cost more than 1."""

_MAX_SCALED_SCANS: Final = 10
"""A JPEG with more scans is decoded only once, at full size, as all scans are read at any scale. libjpeg
writes this many."""


def decode(data: bytes, limits: ImageLimits) -> Pixels:
    """Decode an image to uint8 RGB (height, width, 3), upright by its EXIF orientation, contiguous.

    The result equals Pillow's `convert("RGB")`, as `face_recognition.load_image_file` gives it. Only the
    first frame of an animation and the first page of a TIFF are decoded. Raises ImageTooLarge,
    ImageUnsupported, ImageInvalid.
    """
    with Picture(data, limits) as picture:
        return picture.pixels(1.0).values


@dataclasses.dataclass(frozen=True, eq=False)
class ScaledPixels:
    """The upright pixels of a picture, uint8 RGB (height, width, 3), `scale` times its size."""

    values: Pixels
    scale: float


class Picture:
    """An image within the limits, decoded on demand at the scale that is needed.

    `header` is that of `read_header`, if it was called before. `width` and `height` are the upright image's,
    in pixels. Raises ImageTooLarge, ImageUnsupported, ImageInvalid.
    """

    def __init__(self, data: bytes, limits: ImageLimits, header: Header | None = None) -> None:
        if header is None:
            self._image, header = open_checked(data, limits)
        else:
            self._image = open_image(data, header.jpeg_markers)
        self._data = data
        self._scan_count = header.scan_count
        self._try_turbojpeg = self._image.mode in ("RGB", "L")
        self._orientation = _orientation(self._image)
        width, height = self._image.size
        self.width, self.height = (height, width) if self._orientation in _TRANSPOSED else (width, height)
        self._decoded: ScaledPixels | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._image.close()

    @property
    def decoded_scale(self) -> float:
        """The scale of the pixels kept; 0 before the first decoding."""
        return self._decoded.scale if self._decoded else 0.0

    def pixels(self, scale: float) -> ScaledPixels:
        """Decode at `scale` (at most 1) or more; a JPEG at 1/8, 1/4 or 1/2 where that is enough.

        The last result is kept and returned again where its scale is enough. Raises ImageUnsupported,
        ImageInvalid.
        """
        if self._decoded is None or self._decoded.scale < scale:
            self._decoded = None
            self._decoded = self._decode(scale)
        return self._decoded

    def _decode(self, scale: float) -> ScaledPixels:
        try:
            pixels, factor = self._decode_as_stored(scale)
        except (MemoryError, ImageError, Cancelled):
            raise
        except Exception:
            # On hostile bytes decoders raise nearly any exception; all mean that the bytes are invalid.
            raise damaged(self._image) from None
        make_upright = _ORIENTATIONS.get(self._orientation)
        return ScaledPixels(np.ascontiguousarray(make_upright(pixels) if make_upright else pixels), factor)

    def _decode_as_stored(self, scale: float) -> tuple[Pixels, float]:
        image = self._image
        if not isinstance(image, JpegFile):
            return to_rgb(image), 1.0
        many_scans = self._scan_count > _MAX_SCALED_SCANS
        factor = 1.0 if many_scans else next(factor for factor in _JPEG_SCALES if factor >= scale)
        pixels = None
        if self._try_turbojpeg and not many_scans:
            pixels = decode_with_turbojpeg(image.data, image.size, factor)
        self._try_turbojpeg = pixels is not None  # a file that failed after all scans is not tried again
        if pixels is None:
            pixels = decode_with_pillow(self._data, image.markers, factor)
        if not image.markers.ended:
            check_missing_rows(image, pixels, factor)
        return pixels, factor


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 where there is none, it can't be read, or Pillow applies it itself."""
    if image.format == "TIFF":
        return 1
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a damaged EXIF block does not make the image invalid
        return 1
    return value if isinstance(value, int) else 1
