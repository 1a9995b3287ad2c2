"""The faces of an image: where they are, how fit they are to be compared, and their encodings."""

import dataclasses
from typing import Any, Self

from facerec.client.results.encodings import Encoding
from facerec.encoder import v1


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


@dataclasses.dataclass(frozen=True)
class Quality:
    """How fit a face is to be compared.

    Only `enroll` refuses faces for it, by the collection's settings.

    Attributes:
        face_pixels: The shorter side of the face's box, in pixels of the upright image.
        sharpness: How much neighboring pixels differ over how much all of them do, 0 to 8; below about 0.1 a
            face is blurred.
        brightness: The mean luma, as a share of white, 0 to 1.
        contrast: The standard deviation of the luma, as a share of white, 0 to 0.5.
        roll_degrees: The turn in the picture's plane, clockwise, -180 to 180 degrees.
        yaw: How far the nose lies to the right of the middle between the eyes, in distances between the eyes;
            0 for a face seen from the front.
        pitch: How far the nose lies below that middle, in the same unit; about 0.55 from the front.
        outside: The share of the box that lies outside the image, 0 to 1.
        noise: The standard deviation of the noise of single pixels, as a share of white, 0 to 2.
        flatness: The share of the face without fine shades, 0 to 1.
        unevenness: The difference of the skin's brightness between the brightest and the darkest corner of
            the face, over their sum, 0 to 1.
        reasons: Why the face is poor, by the server's thresholds, of `QUALITY_REASONS`: TOO_SMALL, BLURRED,
            TOO_DARK, TOO_BRIGHT, LOW_CONTRAST, TURNED, CUT_BY_BORDER, NOISY, COMPRESSED, UNEVEN_LIGHT; empty
            where it is not. Reasons that only a newer encoder knows are left out.
    """

    face_pixels: int
    sharpness: float
    brightness: float
    contrast: float
    roll_degrees: float
    yaw: float
    pitch: float
    outside: float
    noise: float
    flatness: float
    unevenness: float
    reasons: tuple[str, ...]

    @classmethod
    def from_message(cls, message: v1.Quality) -> Self:
        """Read the contract's message."""
        known = v1.QualityReason.values()
        names = (v1.QualityReason.Name(reason) for reason in message.reasons if reason in known)
        return cls(
            face_pixels=message.face_pixels,
            sharpness=message.sharpness,
            brightness=message.brightness,
            contrast=message.contrast,
            roll_degrees=message.pose.roll_degrees,
            yaw=message.pose.yaw,
            pitch=message.pose.pitch,
            outside=message.outside,
            noise=message.noise,
            flatness=message.flatness,
            unevenness=message.unevenness,
            reasons=tuple(name.removeprefix("QUALITY_REASON_") for name in names),
        )


def quality_of(message: Any, field: str = "quality") -> Quality | None:
    """The quality in a message's field; None where it is not set, as for a probe that is not an image."""
    return Quality.from_message(getattr(message, field)) if message.HasField(field) else None


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
        Quality.from_message(message.quality),
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
