"""The spaces of other systems' vectors of dlib's network, which they feed with chips of their own.

A space is a name that the matcher compares and does not interpret.
"""

import re
from typing import Final

FACE_API: Final = "dlib-resnet-v1/face-api/150"
"""face-api.js and its forks: a square around the 68 landmarks' eyes and mouth, not rotated."""

_DETECTOR: Final = re.compile(r"[a-z0-9_]{1,32}")


def of_deepface(
    model: str,
    detector: str,
    *,
    aligned: bool = True,
    l2_normalized: bool = False,
    expand_percentage: int = 0,
) -> str:
    """The space of deepface's vectors; "" for those that are not of dlib's network.

    `model`, `detector` and the others are as deepface records them. Its chip is the detector's box, rotated
    where `aligned`; a vector of length 1 (`l2_normalized`) has other distances.
    """
    if model.lower() != "dlib" or not _DETECTOR.fullmatch(detector.lower()):
        return ""
    alignment = f"deepface-{detector.lower()}{'' if aligned else '-unaligned'}"
    chip = f"150{f'+{expand_percentage}%' if expand_percentage else ''}"
    return f"dlib-resnet-v1/{alignment}/{chip}{'/l2' if l2_normalized else ''}"
