"""How fit a face is to be compared, and why not."""

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

from encoder_service.faces import Alignment, BoundingBox, Landmarks, Pose, Quality, QualityReason
from encoder_service.images import Pixels

_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_FACE_ROWS: Final = slice(30, 130)  # of the chip, 150 x 150: eyebrows to chin
_FACE_COLUMNS: Final = slice(25, 125)
_EYES_AND_NOSE: Final = {
    Alignment.SMALL: (2, 0, 4),
    Alignment.LARGE: (36, 45, 33),
}
"""Of dlib's points: the outer corners of the eyes, the left one in the picture first, and the nose's base."""


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Where a face becomes too poor; units are those of Quality."""

    min_face_pixels: int = 48
    min_sharpness: float = 0.09
    min_brightness: float = 0.09
    max_brightness: float = 0.82
    min_contrast: float = 0.035
    max_yaw: float = 0.25
    min_pitch: float = 0.25
    max_pitch: float = 0.85
    max_outside: float = 0.1


class Judge:
    """Judges faces by thresholds. Safe to share between threads."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds

    def judge(self, chip: Pixels, landmarks: Landmarks, box: BoundingBox, size: tuple[int, int]) -> Quality:
        """Judge a face by its chip, uint8 RGB (150, 150, 3), in a picture of that (width, height)."""
        face = (chip @ _LUMA)[_FACE_ROWS, _FACE_COLUMNS]
        contrast = float(face.std())
        measured = Quality(
            face_pixels=min(box.width, box.height),
            sharpness=float(_laplacian(face).std()) / max(contrast, 1.0),
            brightness=float(face.mean()) / 255,
            contrast=contrast / 255,
            pose=_pose(landmarks),
            outside=1 - box.area_within(*size) / box.area,
        )
        return dataclasses.replace(measured, reasons=tuple(self._reasons(measured)))

    def _reasons(self, quality: Quality) -> list[QualityReason]:
        limits = self._thresholds
        pose = quality.pose
        turned = abs(pose.yaw) > limits.max_yaw or not limits.min_pitch <= pose.pitch <= limits.max_pitch
        found = {
            QualityReason.TOO_SMALL: quality.face_pixels < limits.min_face_pixels,
            QualityReason.BLURRED: quality.sharpness < limits.min_sharpness,
            QualityReason.TOO_DARK: quality.brightness < limits.min_brightness,
            QualityReason.TOO_BRIGHT: quality.brightness > limits.max_brightness,
            QualityReason.LOW_CONTRAST: quality.contrast < limits.min_contrast,
            QualityReason.TURNED: turned,
            QualityReason.CUT_BY_BORDER: quality.outside > limits.max_outside,
        }
        return [reason for reason, holds in found.items() if holds]


def _laplacian(face: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    sides = face[:-2, 1:-1] + face[2:, 1:-1] + face[1:-1, :-2] + face[1:-1, 2:]
    difference: npt.NDArray[np.float32] = 4 * face[1:-1, 1:-1] - sides
    return difference


def _pose(landmarks: Landmarks) -> Pose:
    left, right, nose = landmarks.points[list(_EYES_AND_NOSE[landmarks.alignment])].astype(np.float64)
    between = right - left
    apart = max(float(np.hypot(*between)), 1.0)
    along = between / apart
    down = np.array([-along[1], along[0]])
    to_nose = (nose - (left + right) / 2) / apart
    return Pose(
        roll_degrees=float(np.degrees(np.arctan2(along[1], along[0]))),
        yaw=float(to_nose @ along),
        pitch=float(to_nose @ down),
    )
