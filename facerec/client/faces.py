"""What the encoder answers, and the encoding that the matcher compares."""

import dataclasses
from typing import Self

import numpy as np
import numpy.typing as npt

from facerec.encoder import v1


@dataclasses.dataclass(frozen=True, eq=False)
class Encoding:
    """A face's vector: float32 of shape (128,), from -1000 to 1000, comparable only within its space."""

    values: npt.NDArray[np.float32]
    space: str
    fingerprint: str = ""

    @classmethod
    def from_message(cls, message: v1.Encoding) -> Self:
        """Read the contract's message."""
        return cls(np.array(message.values, np.float32), message.space, message.fingerprint)

    def to_message(self) -> v1.Encoding:
        """Write the contract's message."""
        values = np.asarray(self.values, np.float32).tolist()
        return v1.Encoding(values=values, space=self.space, fingerprint=self.fingerprint)


@dataclasses.dataclass(frozen=True)
class BoundingBox:
    """A rectangle in pixels of the upright image, edges inclusive, not clipped to the image."""

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
    """How fit a face is to be compared, in the contract's units; `reasons` say why it is poor.

    They are words as TOO_SMALL, BLURRED, TOO_DARK, TOO_BRIGHT, LOW_CONTRAST, TURNED, CUT_BY_BORDER, NOISY,
    COMPRESSED, UNEVEN_LIGHT. Reasons that only a newer encoder knows are left out.
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


@dataclasses.dataclass(frozen=True)
class DetectedFace:
    """A face's place. `detection_score` is None where the caller gave the box.

    `landmarks` are (x, y) pixels of the upright image, 5 or 68 of them, or empty where not asked for.
    """

    bounding_box: BoundingBox
    detection_score: float | None
    landmarks: tuple[tuple[int, int], ...]
    quality: Quality

    @classmethod
    def from_message(cls, message: v1.Face) -> Self:
        """Read the contract's message."""
        return cls(*_place(message))


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedFace(DetectedFace):
    """A face's place and its encoding."""

    encoding: Encoding

    @classmethod
    def from_message(cls, message: v1.Face) -> Self:
        """Read the contract's message."""
        return cls(*_place(message), encoding=Encoding.from_message(message.encoding))


def _place(message: v1.Face) -> tuple[BoundingBox, float | None, tuple[tuple[int, int], ...], Quality]:
    return (
        BoundingBox.from_message(message.bounding_box),
        message.detection_score if message.HasField("detection_score") else None,
        tuple((point.x, point.y) for point in message.landmarks.points),
        Quality.from_message(message.quality),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedImage:
    """The faces of an image, largest first, and the upright image's size in pixels."""

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
    """The faces of an image, largest first, and the upright image's size in pixels."""

    faces: tuple[DetectedFace, ...]
    image_width: int
    image_height: int

    @classmethod
    def from_message(cls, message: v1.DetectFacesResponse) -> Self:
        """Read the contract's message."""
        faces = tuple(map(DetectedFace.from_message, message.faces))
        return cls(faces, message.image_width, message.image_height)


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a server accepts in one request."""

    max_image_bytes: int
    max_pixels: int
    max_request_bytes: int
    image_formats: tuple[str, ...]
    max_hog_pixels: int
    max_cnn_pixels: int
    stream_window: int


@dataclasses.dataclass(frozen=True)
class Model:
    """What a server computes and accepts; `spaces`, `detectors` and `alignments` have its default first."""

    name: str
    space: str
    spaces: tuple[str, ...]
    fingerprint: str
    dimensions: int
    detectors: tuple[str, ...]
    alignments: tuple[str, ...]
    execution_provider: str
    execution_note: str
    full_resolution: bool
    limits: Limits
    server_version: str

    @classmethod
    def from_message(cls, message: v1.GetModelResponse) -> Self:
        """Read the contract's message."""
        limits = message.limits
        return cls(
            name=message.name,
            space=message.space,
            spaces=tuple(message.spaces),
            fingerprint=message.fingerprint,
            dimensions=message.dimensions,
            detectors=tuple(_word(v1.Detector.Name(value)) for value in message.detectors),
            alignments=tuple(_word(v1.Alignment.Name(value)) for value in message.alignments),
            execution_provider=message.execution_provider,
            execution_note=message.execution_note,
            full_resolution=message.full_resolution,
            limits=Limits(
                limits.max_image_bytes,
                limits.max_pixels,
                limits.max_request_bytes,
                tuple(limits.image_formats),
                limits.max_hog_pixels,
                limits.max_cnn_pixels,
                limits.stream_window,
            ),
            server_version=message.server_version,
        )


def _word(enum_name: str) -> str:
    return enum_name.split("_", 1)[1].lower()
