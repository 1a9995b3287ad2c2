"""Turning a face upright and cutting it out, as the network was trained to see it."""

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
    """dlib's landmark models, that of 68 points only where its file is given. Safe to share between threads.

    Raises WeightsInvalid where a file is no such model.
    """

    def __init__(self, landmarks_5: Path, landmarks_68: Path | None = None) -> None:
        self._predictors = {Alignment.SMALL: _load(landmarks_5)}
        if landmarks_68 is not None:
            self._predictors[Alignment.LARGE] = _load(landmarks_68)

    @property
    def alignments(self) -> tuple[Alignment, ...]:
        """Those it has a model for, the default first."""
        return tuple(self._predictors)

    def place(self, pixels: Pixels, box: BoundingBox, alignment: Alignment) -> Landmarks:
        """Place a face's landmarks in a uint8 RGB image (height, width, 3)."""
        return _to_landmarks(self._shape(pixels, box, alignment), alignment)

    def cut(self, pixels: Pixels, box: BoundingBox, alignment: Alignment) -> tuple[Landmarks, Pixels]:
        """Place a face's landmarks and cut its chip, uint8 RGB (150, 150, 3).

        Chips are cut one by one: dlib's batched call cuts from a shared pyramid and gives others.
        """
        shape = self._shape(pixels, box, alignment)
        chip: Pixels = dlib.get_face_chip(pixels, shape, CHIP_PIXELS, CHIP_PADDING)
        return _to_landmarks(shape, alignment), chip

    def _shape(self, pixels: Pixels, box: BoundingBox, alignment: Alignment) -> dlib.full_object_detection:
        rectangle = dlib.rectangle(left=box.left, top=box.top, right=box.right, bottom=box.bottom)
        return self._predictors[alignment](pixels, rectangle)


def _load(path: Path) -> dlib.shape_predictor:
    try:
        return dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise WeightsInvalid(f"{path} holds no landmark model: {error}") from error


def _to_landmarks(shape: dlib.full_object_detection, alignment: Alignment) -> Landmarks:
    points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.int32)
    return Landmarks(alignment=alignment, points=points)
