"""Details of faces in an image, of what is known here: boxes, landmarks, brightness; and quality filters."""

from typing import Any, Final

from facerec.encoder.v1 import encoder_pb2 as pb
from facerec.gateway.rekognition.calls import Json

_REASON: Final = pb.QualityReason
_LOW: Final = frozenset(
    {
        _REASON.QUALITY_REASON_BLURRED,
        _REASON.QUALITY_REASON_TOO_DARK,
        _REASON.QUALITY_REASON_TOO_BRIGHT,
        _REASON.QUALITY_REASON_LOW_CONTRAST,
    }
)
_MEDIUM: Final = _LOW | {
    _REASON.QUALITY_REASON_TOO_SMALL,
    _REASON.QUALITY_REASON_TURNED,
    _REASON.QUALITY_REASON_CUT_BY_BORDER,
}
QUALITY_FILTERS: Final = {
    "NONE": frozenset[int](),
    "LOW": _LOW,
    "AUTO": _LOW,
    "MEDIUM": _MEDIUM,
    "HIGH": frozenset(_REASON.values()),
}
"""The reasons for which each filter leaves out a face; LOW has those of a new collection's quality policy."""

_UNINDEXED: Final[dict[int, str]] = {
    _REASON.QUALITY_REASON_TOO_SMALL: "SMALL_BOUNDING_BOX",
    _REASON.QUALITY_REASON_BLURRED: "LOW_SHARPNESS",
    _REASON.QUALITY_REASON_TOO_DARK: "LOW_BRIGHTNESS",
    _REASON.QUALITY_REASON_TURNED: "EXTREME_POSE",
}
# The corners of the eyes. dlib has the person's left eye first, which is on the right of the image, and of
# each eye the outer corner first.
_LANDMARKS: Final = ("rightEyeRight", "rightEyeLeft", "leftEyeLeft", "leftEyeRight")


def poor(quality: Any, quality_filter: str) -> list[str]:
    """Why a filter leaves out a face of this quality, as Rekognition's reasons; empty if it does not."""
    reasons = QUALITY_FILTERS[quality_filter].intersection(quality.reasons)
    return sorted({_UNINDEXED.get(reason, "LOW_FACE_QUALITY") for reason in reasons})


def box_json(box: Any, width: int, height: int) -> Json:
    """A box, as shares of the upright image's width and height in pixels."""
    return {
        "Left": box.left / width,
        "Top": box.top / height,
        "Width": (box.right - box.left + 1) / width,
        "Height": (box.bottom - box.top + 1) / height,
    }


def detail_json(face: Any, width: int, height: int) -> Json:
    """The details of a face in an image of so many pixels: of the encoder, or of a search.

    A matcher of release 0.1.0 doesn't say how large the image is; there is no box then.
    """
    detail: Json = {"BoundingBox": box_json(face.bounding_box, width, height)} if width and height else {}
    if isinstance(face, pb.Face) and face.landmarks.alignment == pb.ALIGNMENT_SMALL:
        detail["Landmarks"] = [
            {"Type": kind, "X": point.x / width, "Y": point.y / height}
            for kind, point in zip(_LANDMARKS, face.landmarks.points, strict=False)
        ]
    if face.HasField("quality"):
        detail["Quality"] = {"Brightness": 100 * face.quality.brightness}
    return detail
