"""The faces of a photo, as CompreFace describes them."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final, Self

from facerec.encoder.v1 import encoder_pb2
from facerec.errors import FacerecError, Reason
from facerec.gateway import failures
from facerec.gateway.compreface.asked import Asked
from facerec.gateway.compreface.calls import Calls
from facerec.gateway.compreface.scores import probability
from facerec.matcher.v1 import matcher_pb2

CALCULATOR: Final = "calculator"

Box = tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True)
class FaceOptions:
    """Which faces of a photo are meant, and what is answered of each.

    Attributes:
        min_probability: The least probability of a face, 0 to 1.
        limit: How many at most, the largest first; 0 for all.
        calculator: Whether their vectors are answered. Other plugins have no counterpart and are left out, as
            by a CompreFace that was built without them.
        status: Whether the names of detector and model are answered.
    """

    min_probability: float
    limit: int
    calculator: bool
    status: bool

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """The options of a request. Raises Refused."""
        plugins = [name.strip() for name in asked.values.get("face_plugins", "").split(",")]
        return cls(
            min_probability=asked.share("det_prob_threshold"),
            limit=asked.whole("limit", 0, 0, 999_999_999),
            calculator=CALCULATOR in plugins,
            status=asked.truth("status", default=False),
        )


@dataclasses.dataclass(frozen=True)
class PhotoFace:
    """A face of a photo.

    Attributes:
        photo: The photo's bytes.
        index: Its rank by size among all of the photo's faces, 0 for the largest.
        found: The encoder's description of it.
        size: The photo's width and height in pixels.
    """

    photo: bytes
    index: int
    found: encoder_pb2.Face
    size: tuple[int, int]

    @property
    def box(self) -> Box:
        """Its box, by which the same face is found in another answer about the photo."""
        return box_of(self.found.bounding_box)

    def to_json(self, options: FaceOptions) -> dict[str, Any]:
        """What every answer has of a face: its box, within the photo."""
        box, (width, height) = self.found.bounding_box, self.size
        described: dict[str, Any] = {
            "box": {
                "probability": probability(self.found.detection_score),
                "x_max": min(box.right, width - 1),
                "y_max": min(box.bottom, height - 1),
                "x_min": max(box.left, 0),
                "y_min": max(box.top, 0),
            }
        }
        if options.calculator:
            described["embedding"] = list(self.found.encoding.values)
        return described

    def as_photo(self) -> matcher_pb2.Probe:
        """The photo as a probe, for its largest face."""
        return matcher_pb2.Probe(image=self.photo, use_largest_face=True)

    def as_vector(self) -> matcher_pb2.Probe:
        """The face's vector as a probe."""
        return matcher_pb2.Probe(encoding=self.found.encoding)


def box_of(box: encoder_pb2.BoundingBox) -> Box:
    """A box as a key."""
    return box.top, box.right, box.bottom, box.left


async def find_faces(calls: Calls, photo: bytes, options: FaceOptions, *, encode: bool) -> list[PhotoFace]:
    """The faces of a photo that the options mean, with their vectors if `encode` or the options ask for them.

    Raises Failed, FACE_NOT_FOUND if there is none.
    """
    answer = await calls.call("Encode" if encode or options.calculator else "DetectFaces", image=photo)
    size = answer.image_width, answer.image_height
    faces = [
        PhotoFace(photo, index, found, size)
        for index, found in enumerate(answer.faces)
        if probability(found.detection_score) >= options.min_probability
    ]
    if not faces:
        raise failures.fail(FacerecError("No face is found in the given image", reason=Reason.FACE_NOT_FOUND))
    return faces[: options.limit or None]


def one_face(faces: Sequence[PhotoFace]) -> PhotoFace:
    """The only face. Raises Failed, FACE_AMBIGUOUS if there are several."""
    if len(faces) > 1:
        raise failures.fail(
            FacerecError("More than one face in the source image", reason=Reason.FACE_AMBIGUOUS)
        )
    return faces[0]


async def plugins_versions(calls: Calls, options: FaceOptions) -> dict[str, Any]:
    """The field of that name, if the options ask for it. Raises Failed."""
    if not options.status:
        return {}
    model = await calls.call("GetModel")
    detector = encoder_pb2.Detector.Name(model.detectors[0]).removeprefix("DETECTOR_")
    return {"plugins_versions": {"detector": f"dlib.{detector}", "calculator": model.name}}
