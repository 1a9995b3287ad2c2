"""Finding faces: dlib's HOG detector, one to a thread."""

import threading
from typing import Final

import dlib

from encoder_service.faces import BoundingBox, Detection
from encoder_service.images import Pixels

_THRESHOLD_ADJUSTMENT: Final = 0.0  # face_recognition's: the detector's own threshold


class HogDetector:
    """dlib's frontal face detector.

    A detector shared between threads gives wrong boxes or crashes, so each thread gets its own on
    its first call, which takes 0.3 s: `warm_up` spends that early.
    """

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def warm_up(self) -> None:
        """Load the calling thread's detector."""
        self._detector()

    def detect(self, pixels: Pixels, *, upsample: int) -> list[Detection]:
        """Find the faces of a uint8 RGB image (height, width, 3), doubled in size `upsample` times.

        The largest come first, those of one size in the detector's order, surest first. Boxes are in
        pixels of the image given and not clipped to it. Releases the GIL.
        """
        rectangles, scores, _ = self._detector().run(pixels, upsample, _THRESHOLD_ADJUSTMENT)
        found = [
            Detection(_to_box(rectangle), float(score))
            for rectangle, score in zip(rectangles, scores, strict=True)
        ]
        return sorted(found, key=lambda detection: detection.box.area, reverse=True)

    def _detector(self) -> dlib.fhog_object_detector:
        if not hasattr(self._of_thread, "detector"):
            self._of_thread.detector = dlib.get_frontal_face_detector()
        return self._of_thread.detector


def _to_box(rectangle: dlib.rectangle) -> BoundingBox:
    return BoundingBox(
        top=rectangle.top(), right=rectangle.right(), bottom=rectangle.bottom(), left=rectangle.left()
    )
