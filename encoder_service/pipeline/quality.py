"""Assessment of a face's quality for comparison."""

import dataclasses
import math
from typing import Final

import numpy as np
import numpy.typing as npt

from encoder_service.decoding.pixels import Pixels
from encoder_service.domain.faces import Alignment, BoundingBox, Landmarks
from facerec.quality import Quality, QualityReason

_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_FACE_ROWS: Final = slice(30, 130)  # of the chip, 150 x 150: eyebrows to chin
_FACE_COLUMNS: Final = slice(25, 125)
_EYES_AND_NOSE: Final = {
    Alignment.SMALL: (2, 0, 4),
    Alignment.LARGE: (36, 45, 33),
}
"""Indices of dlib's points: the eyes' outer corners, the picture's left one first, and the nose's base."""

_STEP: Final = 2
_BLOCK: Final = 8
_SMOOTHEST_PERCENT: Final = 25
"""Noise is measured between pixels `_STEP` apart and averaged over blocks of `_BLOCK` x `_BLOCK` pixels; the
smoothest `_SMOOTHEST_PERCENT` percent of the blocks decide."""

_SAME_SHADE: Final = 0.02
"""Luma steps below this share of the face's contrast count as flat: compression has removed the shades."""

_BLACK: Final = 6
_WHITE: Final = 249
_CORNER: Final = 40
_SKIN_PERCENT: Final = 90
"""Four corners of the face, `_CORNER` pixels a side, are compared by this percentile of their luma."""


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """The limits beyond which a face is poor; units are those of Quality."""

    min_face_pixels: int = 48
    min_sharpness: float = 0.09
    min_brightness: float = 0.09
    max_brightness: float = 0.82
    min_contrast: float = 0.035
    max_yaw: float = 0.25
    min_pitch: float = 0.25
    max_pitch: float = 0.85
    max_outside: float = 0.1
    max_noise: float = 0.03
    max_flatness: float = 0.15
    max_unevenness: float = 0.4


class QualityAssessor:
    """Assesses faces by thresholds. Threads may share it."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds

    def assess(self, chip: Pixels, landmarks: Landmarks, box: BoundingBox, size: tuple[int, int]) -> Quality:
        """Assess a face by its chip, uint8 RGB (150, 150, 3); `size` is the picture's (width, height)."""
        face = (chip @ _LUMA)[_FACE_ROWS, _FACE_COLUMNS]
        contrast = float(face.std())
        roll_degrees, yaw, pitch = _pose(landmarks)
        measured = Quality(
            face_pixels=min(box.width, box.height),
            sharpness=float(_laplacian(face).std()) / max(contrast, 1.0),
            brightness=float(face.mean()) / 255,
            contrast=contrast / 255,
            roll_degrees=roll_degrees,
            yaw=yaw,
            pitch=pitch,
            outside=1 - box.area_within(*size) / box.area,
            noise=_noise(face) / 255,
            flatness=_flatness(face),
            unevenness=_unevenness(face),
        )
        return dataclasses.replace(measured, reasons=tuple(self._reasons(measured)))

    def _reasons(self, quality: Quality) -> list[QualityReason]:
        limits = self._thresholds
        turned = (
            abs(quality.yaw) > limits.max_yaw or not limits.min_pitch <= quality.pitch <= limits.max_pitch
        )
        found = {
            QualityReason.TOO_SMALL: quality.face_pixels < limits.min_face_pixels,
            QualityReason.BLURRED: quality.sharpness < limits.min_sharpness,
            QualityReason.TOO_DARK: quality.brightness < limits.min_brightness,
            QualityReason.TOO_BRIGHT: quality.brightness > limits.max_brightness,
            QualityReason.LOW_CONTRAST: quality.contrast < limits.min_contrast,
            QualityReason.TURNED: turned,
            QualityReason.CUT_BY_BORDER: quality.outside > limits.max_outside,
            QualityReason.NOISY: quality.noise > limits.max_noise,
            QualityReason.COMPRESSED: quality.flatness > limits.max_flatness,
            QualityReason.UNEVEN_LIGHT: quality.unevenness > limits.max_unevenness,
        }
        return [reason for reason, holds in found.items() if holds]


def _laplacian(face: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    sides = face[:-2, 1:-1] + face[2:, 1:-1] + face[1:-1, :-2] + face[1:-1, 2:]
    difference: npt.NDArray[np.float32] = 4 * face[1:-1, 1:-1] - sides
    return difference


def _noise(face: npt.NDArray[np.float32]) -> float:
    """Estimate the standard deviation of the noise by Immerkaer's operator, which is 0 for slopes and bends.

    It uses every second pixel, as a small face's chip is enlarged, and only the smoothest blocks: noise is
    in all blocks, edges and hair are not in these. Source: J. Immerkaer, Fast Noise Variance Estimation,
    1996.
    """
    rows = face[: -2 * _STEP] - 2 * face[_STEP:-_STEP] + face[2 * _STEP :]
    response = np.abs(rows[:, : -2 * _STEP] - 2 * rows[:, _STEP:-_STEP] + rows[:, 2 * _STEP :])
    height, width = (side // _BLOCK * _BLOCK for side in response.shape)
    blocks = response[:height, :width].reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return math.sqrt(math.pi / 2) / 6 * float(np.percentile(blocks.mean(axis=(1, 3)), _SMOOTHEST_PERCENT))


def _flatness(face: npt.NDArray[np.float32]) -> float:
    """Measure the share of the face where the luma equals that of the pixels to the right and below.

    Black and white pixels are left out: clipping makes them equal.
    """
    here = face[:-1, :-1]
    steps = np.abs(face[1:, :-1] - here) + np.abs(face[:-1, 1:] - here)
    same = steps < _SAME_SHADE * max(float(face.std()), 1.0)
    return float((same & (here > _BLACK) & (here < _WHITE)).mean())


def _unevenness(face: npt.NDArray[np.float32]) -> float:
    """Compare the bright skin in the four corners; the percentile leaves out eyes, brows, beards and hair."""
    near, far = slice(None, _CORNER), slice(-_CORNER, None)
    corners = (face[near, near], face[near, far], face[far, near], face[far, far])
    skins = [float(np.percentile(corner, _SKIN_PERCENT)) for corner in corners]
    return (max(skins) - min(skins)) / max(max(skins) + min(skins), 1.0)


def _pose(landmarks: Landmarks) -> tuple[float, float, float]:
    """The head's roll in degrees, yaw and pitch, by the eyes' outer corners and the nose's base."""
    left, right, nose = landmarks.points[list(_EYES_AND_NOSE[landmarks.alignment])].astype(np.float64)
    between = right - left
    apart = max(float(np.hypot(*between)), 1.0)
    along = between / apart
    down = np.array([-along[1], along[0]])
    to_nose = (nose - (left + right) / 2) / apart
    roll_degrees = float(np.degrees(np.arctan2(along[1], along[0])))
    return roll_degrees, float(to_nose @ along), float(to_nose @ down)
