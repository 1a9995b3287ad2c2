"""Alignment: landmarks of a face, and its chip, turned upright as in the network's training."""

from pathlib import Path
from typing import Final

import dlib
import numpy as np

from encoder_service.decoding.pixels import Pixels
from encoder_service.domain.errors import WeightsInvalid
from encoder_service.domain.faces import Alignment, BoundingBox, Landmarks
from encoder_service.embedding.network import CHIP_PIXELS

CHIP_PADDING: Final = 0.25
POINTS: Final = {Alignment.SMALL: 5, Alignment.LARGE: 68}


class Aligner:
    """dlib's landmark models, that of 68 points only where its file is given. Threads may share it.

    Raises WeightsInvalid where a file is not such a model.
    """

    def __init__(self, landmarks_5: Path, landmarks_68: Path | None = None) -> None:
        self._predictors = {Alignment.SMALL: _load(landmarks_5)}
        if landmarks_68 is not None:
            self._predictors[Alignment.LARGE] = _load(landmarks_68)

    @property
    def alignments(self) -> tuple[Alignment, ...]:
        """The alignments it has a model for, the default first."""
        return tuple(self._predictors)

    def align(self, pixels: Pixels, box: BoundingBox, alignment: Alignment) -> tuple[Landmarks, Pixels]:
        """Find a face's landmarks in a uint8 RGB image (height, width, 3) and extract its chip.

        The chip is uint8 RGB (150, 150, 3). Chips are extracted one by one: dlib's call for
        several chips samples them from one shared pyramid, which gives slightly different pixels.
        """
        rectangle = dlib.rectangle(left=box.left, top=box.top, right=box.right, bottom=box.bottom)
        shape = self._predictors[alignment](pixels, rectangle)
        chip: Pixels = dlib.get_face_chip(pixels, shape, CHIP_PIXELS, CHIP_PADDING)
        return _to_landmarks(shape, alignment), chip


def _load(path: Path) -> dlib.shape_predictor:
    try:
        return dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise WeightsInvalid(f"{path} is not a landmark model: {error}") from error


def _to_landmarks(shape: dlib.full_object_detection, alignment: Alignment) -> Landmarks:
    points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.int32)
    return Landmarks(alignment=alignment, points=points)
