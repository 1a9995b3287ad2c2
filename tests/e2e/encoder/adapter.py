"""The functions of face_recognition.api, answered by the encoder service.

The service's address is in FACEREC_ENCODER. Arrays go there as BMP, which loses nothing, and
full_resolution makes the answers those of the package itself. The suite asks for the same again and again:
a question is asked once.
"""

import functools
import io
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from facerec.client import BoundingBox, DetectedFace, EncoderClient

Css = tuple[int, int, int, int]
Pixels = npt.NDArray[np.uint8]

_client = EncoderClient(os.environ["FACEREC_ENCODER"], timeout_seconds=300)


class Point(NamedTuple):
    """A landmark."""

    x: int
    y: int


class Landmarks:
    """What dlib calls a full_object_detection."""

    def __init__(self, points: Sequence[tuple[int, int]]) -> None:
        self._points = [Point(x, y) for x, y in points]
        self.num_parts = len(self._points)

    def parts(self) -> list[Point]:
        return self._points


class Rectangle:
    """What dlib calls a rectangle; the CNN's detections hold it as `rect`."""

    def __init__(self, box: BoundingBox) -> None:
        self._box = box
        self.rect = self

    def top(self) -> int:
        return self._box.top

    def right(self) -> int:
        return self._box.right

    def bottom(self) -> int:
        return self._box.bottom

    def left(self) -> int:
        return self._box.left


def load_image_file(file: Any, mode: str = "RGB") -> Pixels:
    return np.array(Image.open(file).convert(mode))


def _bytes(image: Pixels) -> bytes:
    with io.BytesIO() as out:
        Image.fromarray(image).save(out, "BMP")
        return out.getvalue()


@functools.cache
def _detected(image: bytes, upsample: int, model: str) -> tuple[DetectedFace, ...]:
    detector: Any = "cnn" if model == "cnn" else "hog"
    return _client.detect_faces(image, upsample=upsample, detector=detector, full_resolution=True).faces


def _raw_face_locations(
    image: Pixels, number_of_times_to_upsample: int = 1, model: str = "hog"
) -> list[Rectangle]:
    return [
        Rectangle(face.bounding_box) for face in _detected(_bytes(image), number_of_times_to_upsample, model)
    ]


def _trimmed(found: Rectangle, shape: tuple[int, ...]) -> Css:
    return (
        max(found.top(), 0),
        min(found.right(), shape[1]),
        min(found.bottom(), shape[0]),
        max(found.left(), 0),
    )


def face_locations(image: Pixels, number_of_times_to_upsample: int = 1, model: str = "hog") -> list[Css]:
    found = _raw_face_locations(image, number_of_times_to_upsample, model)
    return [_trimmed(each, image.shape) for each in found]


def _raw_face_locations_batched(
    images: Sequence[Pixels], number_of_times_to_upsample: int = 1, batch_size: int = 128
) -> list[list[Rectangle]]:
    return [_raw_face_locations(image, number_of_times_to_upsample, "cnn") for image in images]


def batch_face_locations(
    images: Sequence[Pixels], number_of_times_to_upsample: int = 1, batch_size: int = 128
) -> list[list[Css]]:
    return [face_locations(image, number_of_times_to_upsample, "cnn") for image in images]


def _encoded(image: Pixels, locations: Sequence[Css] | None, model: str) -> Any:
    return _asked(_bytes(image), None if locations is None else tuple(map(tuple, locations)), model)


@functools.cache
def _asked(image: bytes, locations: tuple[Css, ...] | None, model: str) -> Any:
    boxes = [BoundingBox(*location) for location in locations or ()]
    if locations is not None and not boxes:
        return ()
    alignment: Any = "small" if model == "small" else "large"
    return _client.encode(
        image, face_boxes=boxes, alignment=alignment, full_resolution=True, return_landmarks=True
    ).faces


def _raw_face_landmarks(
    image: Pixels, locations: Sequence[Css] | None = None, model: str = "large"
) -> list[Landmarks]:
    return [Landmarks(face.landmarks) for face in _encoded(image, locations, model)]


def face_landmarks(
    image: Pixels, locations: Sequence[Css] | None = None, model: str = "large"
) -> list[dict[str, Any]]:
    faces = [
        [(point.x, point.y) for point in each.parts()]
        for each in _raw_face_landmarks(image, locations, model)
    ]
    if model == "small":
        return [{"nose_tip": [p[4]], "left_eye": p[2:4], "right_eye": p[0:2]} for p in faces]
    return [
        {
            "chin": p[0:17],
            "left_eyebrow": p[17:22],
            "right_eyebrow": p[22:27],
            "nose_bridge": p[27:31],
            "nose_tip": p[31:36],
            "left_eye": p[36:42],
            "right_eye": p[42:48],
            "top_lip": [*p[48:55], *p[64:59:-1]],
            "bottom_lip": [*p[54:60], p[48], p[60], *p[67:63:-1]],
        }
        for p in faces
    ]


def face_encodings(
    image: Pixels,
    known_face_locations: Sequence[Css] | None = None,
    num_jitters: int = 1,
    model: str = "small",
) -> list[npt.NDArray[np.float64]]:
    if num_jitters != 1:
        raise NotImplementedError("the service does not jitter")
    faces = _encoded(image, known_face_locations, model)
    return [face.encoding.values.astype(np.float64) for face in faces]


def face_distance(known: Any, face: Any) -> npt.NDArray[np.float64]:
    if len(known) == 0:
        return np.empty(0)
    distances: npt.NDArray[np.float64] = np.linalg.norm(np.asarray(known) - face, axis=1)
    return distances


def compare_faces(known: Any, face: Any, tolerance: float = 0.6) -> list[bool]:
    return list(face_distance(known, face) <= tolerance)
