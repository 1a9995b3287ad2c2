"""The faces of an image: where they are, how fit they are to be compared, and their encodings."""

import dataclasses
from typing import Any, Self

from facerec.client.results.encodings import Encoding
from facerec.encoder import v1
from facerec.quality import Quality
from facerec.quality_messages import read_quality


@dataclasses.dataclass(frozen=True)
class BoundingBox:
    """A rectangle in pixels of the upright image, after its EXIF orientation.

    Edges are inclusive. A detected box is not clipped: a face cut by the border has edges outside the image.

    Attributes:
        top: The row of the upper edge, -65536 to 65535.
        right: The column of the right edge, greater than `left`, at most 131071.
        bottom: The row of the lower edge, greater than `top`, at most 131071.
        left: The column of the left edge, -65536 to 65535.
    """

    top: int
    right: int
    bottom: int
    left: int

    @classmethod
    def from_message(cls, message: v1.BoundingBox) -> Self:
        """Read the contract's message."""
        return cls(message.top, message.right, message.bottom, message.left)

    def to_message(self) -> v1.BoundingBox:
        """Write the contract's message."""
        return v1.BoundingBox(top=self.top, right=self.right, bottom=self.bottom, left=self.left)


def quality_of(message: Any, field: str = "quality") -> Quality | None:
    """The quality in a message's field; None where it is not set, as for a probe that is not an image."""
    return read_quality(getattr(message, field)) if message.HasField(field) else None


def qualities_of(message: Any) -> tuple[Quality | None, ...]:
    """The qualities of several probes; None for one that is not an image, which has no field set."""
    return tuple(read_quality(each) if each.ListFields() else None for each in message.qualities)


@dataclasses.dataclass(frozen=True)
class DetectedFace:
    """A face found in an image.

    Attributes:
        bounding_box: Where the face is.
        detection_score: The detector's confidence; higher is surer, 0 is its threshold. None where the caller
            gave the box.
        landmarks: (x, y) pixels of the upright image, 5 (alignment `small`) or 68 (`large`) in dlib's order;
            empty where not asked for.
        quality: How fit the face is to be compared.
    """

    bounding_box: BoundingBox
    detection_score: float | None
    landmarks: tuple[tuple[int, int], ...]
    quality: Quality

    @classmethod
    def from_message(cls, message: v1.Face) -> Self:
        """Read the contract's message."""
        return cls(*_detected(message))


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedFace(DetectedFace):
    """A face found in an image, with its encoding.

    Attributes:
        bounding_box, detection_score, landmarks, quality: As of `DetectedFace`.
        encoding: The face's vector.
    """

    encoding: Encoding

    @classmethod
    def from_message(cls, message: v1.Face) -> Self:
        """Read the contract's message."""
        return cls(*_detected(message), encoding=Encoding.from_message(message.encoding))


def _detected(message: v1.Face) -> tuple[BoundingBox, float | None, tuple[tuple[int, int], ...], Quality]:
    return (
        BoundingBox.from_message(message.bounding_box),
        message.detection_score if message.HasField("detection_score") else None,
        tuple((point.x, point.y) for point in message.landmarks.points),
        read_quality(message.quality),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedImage:
    """The answer of `encode`.

    Attributes:
        faces: The faces, those with the largest box first, or in the order of the `face_boxes` given; empty
            where the image shows none.
        image_width: The width of the upright image, in pixels.
        image_height: The height of the upright image, in pixels.
    """

    faces: tuple[EncodedFace, ...]
    image_width: int
    image_height: int

    @classmethod
    def from_message(cls, message: v1.EncodeResponse) -> Self:
        """Read the contract's message."""
        faces = tuple(map(EncodedFace.from_message, message.faces))
        return cls(faces, message.image_width, message.image_height)


@dataclasses.dataclass(frozen=True)
class DetectedImage:
    """The answer of `detect_faces`.

    Attributes:
        faces: The faces, those with the largest box first; empty where the image shows none.
        image_width: The width of the upright image, in pixels.
        image_height: The height of the upright image, in pixels.
    """

    faces: tuple[DetectedFace, ...]
    image_width: int
    image_height: int

    @classmethod
    def from_message(cls, message: v1.DetectFacesResponse) -> Self:
        """Read the contract's message."""
        faces = tuple(map(DetectedFace.from_message, message.faces))
        return cls(faces, message.image_width, message.image_height)
