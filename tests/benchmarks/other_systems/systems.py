"""The faces that each system finds in photos, with its vectors of dlib's network."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import dlib
import face_recognition_models as models
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from tests.benchmarks.encoder.pictures import Photo

FOLDER: Final = Path(__file__).parent
CHIP_PIXELS: Final = 150
PADDING: Final = 0.25
Vector = npt.NDArray[np.float64]
Faces = Mapping[str, Sequence["Face"]]
"""The faces of each photo, by its name."""
OfDetectors = Mapping[str, Faces]
"""The faces of each photo by each of a system's detectors."""


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
    """A face: its box in pixels (left, top, right, bottom), and its vector, of shape (128,)."""

    box: tuple[float, float, float, float]
    vector: Vector


class Dlib:
    """dlib's models as face_recognition ships them."""

    def __init__(self) -> None:
        self.detector = dlib.get_frontal_face_detector()
        self.landmarks = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
        self.network = dlib.face_recognition_model_v1(models.face_recognition_model_location())

    def vector(self, pixels: npt.NDArray[np.uint8], box: Any) -> Vector:
        """The vector of a face, from a chip by 5 landmarks, with no jitter."""
        shape = self.landmarks(pixels, box)
        return np.array(self.network.compute_face_descriptor(pixels, shape, 0, PADDING))


def of_face_recognition(photos: Sequence[Photo]) -> Faces:
    """The faces by face_recognition's defaults, whose vectors are those of our default space."""
    import face_recognition  # it loads all of its models, in every worker that collects tests

    ImageFile.LOAD_TRUNCATED_IMAGES = False  # the import sets it for the whole process
    found = {}
    for photo in photos:
        pixels = np.asarray(photo.image)
        boxes = face_recognition.face_locations(pixels)
        vectors = face_recognition.face_encodings(pixels, boxes)
        found[photo.name] = [
            Face((left, top, right, bottom), vector)
            for (top, right, bottom, left), vector in zip(boxes, vectors, strict=True)
        ]
    return found


def of_go_face(photos: Sequence[Photo]) -> Faces:
    """The faces as go-face's facerec.cc makes them: HOG without upsampling, 5 points, no jitter."""
    of_dlib, found = Dlib(), {}
    for photo in photos:
        pixels = np.asarray(photo.image)
        found[photo.name] = [
            Face((box.left(), box.top(), box.right(), box.bottom()), of_dlib.vector(pixels, box))
            for box in of_dlib.detector(pixels, 0)
        ]
    return found


def chips(photos: Sequence[Photo], faces: Faces) -> list[Photo]:
    """The chips that face_recognition gives to the network, one of each photo with one face."""
    of_dlib, found = Dlib(), []

    for photo in photos:
        if len(faces[photo.name]) == 1:
            left, top, right, bottom = map(int, faces[photo.name][0].box)
            pixels = np.asarray(photo.image)
            shape = of_dlib.landmarks(pixels, dlib.rectangle(left, top, right, bottom))
            chip = dlib.get_face_chip(pixels, shape, CHIP_PIXELS, PADDING)
            found.append(Photo(photo.name, photo.person, Image.fromarray(chip)))
    return found


def of_face_api(photos: Sequence[Photo], modules: Path, *, are_chips: bool = False) -> OfDetectors:
    """The faces of @vladmandic/face-api, whose packages are in `modules`, by detector.

    Chips go to its network as they are.
    """
    return _of_program(["node", str(FOLDER / "face_api.js")], photos, {"NODE_PATH": str(modules)}, are_chips)


def of_deepface(photos: Sequence[Photo], python: Path) -> OfDetectors:
    """The faces of deepface's model Dlib, by detector; `python` is that of an environment with deepface."""
    weights = Path(models.face_recognition_model_location()).parent
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / ".deepface" / "weights"
        folder.mkdir(parents=True)
        for model in weights.iterdir():
            (folder / model.name).symlink_to(model)
        return _of_program(
            [str(python), str(FOLDER / "deepface_vectors.py")], photos, {"DEEPFACE_HOME": home}
        )


def _of_program(
    command: Sequence[str], photos: Sequence[Photo], variables: Mapping[str, str], are_chips: bool = False
) -> OfDetectors:
    with tempfile.TemporaryDirectory() as temporary:
        folder, listed = Path(temporary), []
        for number, photo in enumerate(photos):
            file = folder / f"{number}.rgb"
            file.write_bytes(photo.image.tobytes())
            size = {"width": photo.image.width, "height": photo.image.height}
            listed.append({"file": str(file), **size, "chip": are_chips})
        (folder / "photos.json").write_text(json.dumps(listed))
        arguments = [*command, str(folder / "photos.json"), str(folder / "out.json")]
        subprocess.run(arguments, check=True, env={**os.environ, **variables}, stdout=sys.stderr)
        answers = json.loads((folder / "out.json").read_text())
    by_detector: dict[str, dict[str, list[Face]]] = {}
    for photo, item in zip(photos, listed, strict=True):
        for detector, faces in answers[item["file"]].items():
            by_detector.setdefault(detector, {})[photo.name] = [_face(face) for face in faces]
    return by_detector


def _face(written: Mapping[str, Any]) -> Face:
    return Face(tuple(written["box"]), np.array(written["encoding"]))
