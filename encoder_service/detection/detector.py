"""The detector's protocol, and dlib's HOG detector, one per thread."""

import math
import threading
from copy import deepcopy
from pathlib import Path
from typing import Final, Protocol

import dlib

from encoder_service.decoding.pixels import Pixels
from encoder_service.domain import scaling
from encoder_service.domain.faces import BoundingBox, Detection
from encoder_service.domain.scaling import PyramidLevel
from encoder_service.embedding.dlib_weights import cache

_THRESHOLD_ADJUSTMENT: Final = 0.0  # face_recognition's: the detector's own threshold
_WINDOW_PIXELS: Final = 72
_CELL_PIXELS: Final = 8
_FIRST_CELL: Final = 5  # a window's edges lie at 5 plus a multiple of the cell size, in pixels of its level


class Detector(Protocol):
    """Finds faces in pixels. Threads may share it."""

    @property
    def window_pixels(self) -> int:
        """The side, in pixels, of the smallest box it finds in an image that is not doubled."""

    @property
    def max_pixels(self) -> int:
        """The most pixels it searches, after doubling."""

    @property
    def weight(self) -> float:
        """The cost of a searched pixel, relative to HOG's."""

    def searched_pixels(self, level: PyramidLevel) -> int:
        """The pixels it searches from a level on; its time and memory grow with them."""

    def warm_up(self) -> None:
        """Prepare the calling thread, so that its first call does not wait."""

    def detect(self, pixels: Pixels, *, upsample: int) -> list[Detection]:
        """Find the faces of a uint8 RGB image (height, width, 3), doubled in size `upsample` times.

        The largest come first; equal sizes are ordered by score, highest first. Boxes are in pixels of
        the image given and not clipped to it. Releases the GIL.
        """

    def to_picture(self, box: BoundingBox, level: PyramidLevel) -> BoundingBox:
        """Map a box found on a level to the picture."""


class HogDetector:
    """dlib's frontal face detector.

    A dlib detector shared between threads gives wrong boxes or crashes, so each thread gets its own on
    its first call. It is copied, which takes 2 ms. dlib takes 0.7 s to unpack it, so it is kept unpacked in
    `cache_folder`.
    """

    window_pixels = _WINDOW_PIXELS
    weight = 1.0

    def __init__(self, *, max_pixels: int, cache_folder: Path) -> None:
        self.max_pixels: Final = max_pixels
        self._original = _load(cache_folder)
        self._of_thread = threading.local()

    def warm_up(self) -> None:
        """Load the calling thread's detector."""
        self._detector()

    def searched_pixels(self, level: PyramidLevel) -> int:
        """All pixels of the level."""
        return level.width * level.height

    def detect(self, pixels: Pixels, *, upsample: int) -> list[Detection]:
        """Find the faces of an image, as a Detector does."""
        rectangles, scores, _ = self._detector().run(pixels, upsample, _THRESHOLD_ADJUSTMENT)
        found = [
            Detection(_to_box(rectangle), float(score))
            for rectangle, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(found, key=lambda detection: detection.box.area, reverse=True)

    def to_picture(self, box: BoundingBox, level: PyramidLevel) -> BoundingBox:
        """Map a box found on a level to the picture.

        dlib has rounded the box while mapping it to the level. Its cells can be recovered: the size gives
        the depth at which it was found, and there its edges lie on a grid. From the cells it is mapped
        again, rounded as dlib rounds a box of the whole pyramid.
        """
        depth = scaling.depth_of(min(box.width, box.height) - 1, _WINDOW_PIXELS)

        def mapped(x: int, y: int) -> tuple[int, int]:
            cell_x, cell_y = (_to_cell(scaling.reduce(value, depth)) for value in (x, y))
            levels = depth + level.depth
            picture_x, picture_y = scaling.undo_upsampling(
                _round(scaling.enlarge(cell_x, levels)),
                _round(scaling.enlarge(cell_y, levels)),
                level,
            )
            return _round(picture_x), _round(picture_y)

        left, top = mapped(box.left, box.top)
        right, bottom = mapped(box.right, box.bottom)
        return BoundingBox(top=top, right=right, bottom=bottom, left=left)

    def _detector(self) -> dlib.fhog_object_detector:
        if not hasattr(self._of_thread, "detector"):
            self._of_thread.detector = deepcopy(self._original)
        return self._of_thread.detector


def entry_path(cache_folder: Path) -> Path:
    """The path of the unpacked detector in a cache folder."""
    return cache_folder / f"dlib-{dlib.__version__}-hog.svm"


def _load(cache_folder: Path) -> dlib.fhog_object_detector:
    state = cache.fetch_entry(entry_path(cache_folder), _unpack)
    detector = dlib.fhog_object_detector.__new__(dlib.fhog_object_detector)
    detector.__setstate__((state,))
    return detector


def _unpack() -> bytes:
    state: bytes
    (state,) = dlib.get_frontal_face_detector().__getstate__()
    return state


def _to_cell(value: float) -> int:
    return _CELL_PIXELS * _round((value - _FIRST_CELL) / _CELL_PIXELS) + _FIRST_CELL


def _round(value: float) -> int:
    return math.floor(value + 0.5)


def _to_box(rectangle: dlib.rectangle) -> BoundingBox:
    return BoundingBox(
        top=rectangle.top(), right=rectangle.right(), bottom=rectangle.bottom(), left=rectangle.left()
    )
