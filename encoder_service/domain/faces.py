"""Faces of an image, and the options by which they are found and encoded."""

import dataclasses
import enum
from typing import Final

import numpy as np
import numpy.typing as npt

from facerec.quality import Quality

MAX_FACES: Final = 1000
"""The most faces of one image, detected or given as boxes."""


class Alignment(enum.StrEnum):
    """The landmark model by which a face is turned upright; part of an encoding's space."""

    SMALL = "small"
    LARGE = "large"


class DetectorName(enum.StrEnum):
    """The face detectors."""

    HOG = "hog"
    CNN = "cnn"


@dataclasses.dataclass(frozen=True)
class BoundingBox:
    """A rectangle in pixels of the upright image, edges inclusive, not clipped to the image."""

    top: int
    right: int
    bottom: int
    left: int

    @property
    def width(self) -> int:
        """Columns covered."""
        return self.right - self.left + 1

    @property
    def height(self) -> int:
        """Rows covered."""
        return self.bottom - self.top + 1

    @property
    def area(self) -> int:
        """Pixels covered."""
        return self.width * self.height

    def area_within(self, width: int, height: int) -> int:
        """Pixels covered of an image of that size."""
        columns = min(self.right, width - 1) - max(self.left, 0) + 1
        rows = min(self.bottom, height - 1) - max(self.top, 0) + 1
        return max(columns, 0) * max(rows, 0)

    def overlaps(self, width: int, height: int) -> bool:
        """Whether any of it lies in an image of that size."""
        return self.left < width and self.top < height and self.right >= 0 and self.bottom >= 0


@dataclasses.dataclass(frozen=True)
class Detection:
    """A detected face: its box and the detector's confidence, 0 at the detector's threshold."""

    box: BoundingBox
    score: float | None
    """None where the caller gave the box."""


@dataclasses.dataclass(frozen=True, eq=False)
class Landmarks:
    """A face's points, int32 (5, 2) for SMALL or (68, 2) for LARGE, each (x, y), in dlib's order."""

    alignment: Alignment
    points: npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class Encoding:
    """A face's vector, float32 (128,), the space it may be compared in, and what computed it."""

    values: npt.NDArray[np.float32]
    space: str
    fingerprint: str


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
    """One face of an image. `encoding` is None where only detection was requested."""

    detection: Detection
    landmarks: Landmarks
    quality: Quality
    encoding: Encoding | None


@dataclasses.dataclass(frozen=True)
class FacesOfImage:
    """The faces of an image and the upright image's size in pixels."""

    faces: tuple[Face, ...]
    image_width: int
    image_height: int


@dataclasses.dataclass(frozen=True)
class EncodeOptions:
    """How faces are found and encoded."""

    max_faces: int = 0
    """Keep this many, the largest; 0 keeps all, MAX_FACES at most."""

    upsample: int = 1
    """How many times the picture is doubled before detection."""

    min_face_pixels: int = 0
    """Leave out boxes whose shorter side is less, in pixels."""

    full_resolution: bool = False
    """Search every pixel, rather than a scaled copy."""

    detector: DetectorName = DetectorName.HOG

    alignment: Alignment = Alignment.SMALL

    boxes: tuple[BoundingBox, ...] = ()
    """Boxes that the caller gives; with any, nothing is detected."""
