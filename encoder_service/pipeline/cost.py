"""What an image costs, in the probes that callers' rates count: known from its header and what is asked.

All work is stated in the pixels that HOG searches in the same time, about 80 ns each on one core.
"""

import dataclasses
from typing import Final

from encoder_service.decoding.header import Header

PROBE_PIXELS: Final = 2_000_000
"""Pixels searched for one probe: an ordinary picture's two looks."""

SHORT_PROBES: Final = 4.0
"""Up to here, about 0.6 s of one core, an image is short work."""


_DECODED: Final = 3 / 8
"""Of a pixel that is decoded of anything but a JPEG: 15 to 40 ns, by format and depth of color."""

_JPEG_SCAN: Final = 1 / 64
"""Of a pixel in each scan, whatever the scale: the coefficients are read all the same."""

_CUT: Final = 1 / 16
"""Of a pixel in the box of a face that is cut out."""

_FACE_PIXELS: Final = 120_000
"""A face's landmarks, chip and encoding."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What will be done with an image.

    `searched_pixels` are those of all looks, the second included, each as costly as `weight` of HOG's;
    `box_pixels` those of all face boxes that were given.
    """

    header: Header
    searched_pixels: int = 0
    weight: float = 1.0
    box_pixels: int = 0

    def probes(self, faces: int) -> float:
        """The cost with so many faces, at least 1 probe."""
        pixels = self.header.width * self.header.height
        decoding = pixels * (self.header.scans * _JPEG_SCAN if self.header.scans else _DECODED)
        work = self.searched_pixels * self.weight + self.box_pixels * _CUT + faces * _FACE_PIXELS + decoding
        return max(1.0, work / PROBE_PIXELS)
