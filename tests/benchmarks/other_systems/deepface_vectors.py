"""Computes the vectors of deepface's model Dlib for photos: deepface_vectors.py PHOTOS.json OUT.json.

Run by a Python that has deepface, which imports TensorFlow for its other models. Dlib's needs none of it, so
modules of that name that hold nothing stand in; the one function of Keras that is called makes an array.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np

STAND_INS = ("tensorflow", "keras")
DETECTORS = ("opencv", "dlib")
MODEL_FILES = ("dlib_face_recognition_resnet_model_v1.dat", "shape_predictor_5_face_landmarks.dat")


class _StandIns:
    """Finds modules of TensorFlow and Keras: stand-ins that hold nothing."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name.partition(".")[0] not in STAND_INS:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> Any:
        module = MagicMock(name=spec.name)
        module.__version__ = "2.0.0"
        module.__path__ = []
        module.img_to_array = lambda image: np.asarray(image, np.float32)
        return module

    def exec_module(self, module: Any) -> None:
        """Nothing is executed."""


def faces(image: Any, detector: str, represent: Any) -> list[dict[str, Any]]:
    """The faces of an RGB image; none where the detector finds none."""
    try:
        found = represent(image[:, :, ::-1], model_name="Dlib", detector_backend=detector)
    except ValueError:
        return []
    areas = [(SimpleNamespace(**face["facial_area"]), face["embedding"]) for face in found]
    return [{"box": [a.x, a.y, a.x + a.w, a.y + a.h], "encoding": vector} for a, vector in areas]


def main() -> None:
    """Write the faces of each photo by each detector, as JSON."""
    photos, out = map(Path, sys.argv[1:])
    sys.meta_path.insert(0, _StandIns())
    represent = importlib.import_module("deepface.modules.representation").represent
    answers = {}
    for photo in json.loads(photos.read_text()):
        pixels = np.fromfile(photo["file"], np.uint8).reshape(photo["height"], photo["width"], 3)
        answers[photo["file"]] = {name: faces(pixels, name, represent) for name in DETECTORS}
    out.write_text(json.dumps(answers))


if __name__ == "__main__":
    os.environ.setdefault("DEEPFACE_HOME", str(Path(sys.argv[1]).parent))
    main()
