"""The stored form of a face's quality: 47 bytes, little-endian.

A byte with the form's number, 16 bits that say which of QualityReason apply (the first is the lowest bit),
face_pixels as uint32, and the other measures as float32 in the order of `_MEASURES`.
"""

import struct
from typing import Final

import numpy as np

from facerec.quality import Quality, QualityReason

_FORM: Final = 1
_HEAD: Final = struct.Struct("<BHI")
_MEASURES: Final = (
    "sharpness",
    "brightness",
    "contrast",
    "roll_degrees",
    "yaw",
    "pitch",
    "outside",
    "noise",
    "flatness",
    "unevenness",
)


def quality_bytes(quality: Quality) -> bytes:
    """Encode a quality as a parameter of a statement; its measures are rounded to single precision."""
    reasons = sum(1 << bit for bit, reason in enumerate(QualityReason) if reason in quality.reasons)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        measures = np.array([getattr(quality, name) for name in _MEASURES]).astype("<f4")
    return _HEAD.pack(_FORM, reasons, quality.face_pixels) + measures.tobytes()


def read_quality(stored: bytes | None) -> Quality | None:
    """Decode a quality; None where none is stored, or one in a form that only a later release knows."""
    if not stored or stored[0] != _FORM:
        return None
    _, reasons, face_pixels = _HEAD.unpack_from(stored)
    measures = np.frombuffer(stored, "<f4", len(_MEASURES), _HEAD.size).tolist()
    return Quality(
        face_pixels=face_pixels,
        **dict(zip(_MEASURES, measures, strict=True)),
        reasons=tuple(reason.value for bit, reason in enumerate(QualityReason) if reasons >> bit & 1),
    )
