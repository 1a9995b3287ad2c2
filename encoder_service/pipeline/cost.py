"""The cost of an image, from its header and the options.

The unit is the probe, in which a key's rate limit is given (`probes_per_second`): an ordinary photo costs one
probe, a costlier image several. All work is expressed in pixels that HOG searches in the same time, about
80 ns each on one core.
"""

import dataclasses
from typing import Final

from encoder_service.decoding.header import Header

PROBE_PIXELS: Final = 2_000_000
"""Pixels searched per probe: both scaled copies of an ordinary picture."""

SHORT_PROBES: Final = 4.0
"""An image of at most this cost, about 0.6 s of one core, is short work."""

_DECODED: Final = 3 / 8
"""Cost per decoded pixel of any format but JPEG: 15 to 40 ns, by format and color depth."""

_JPEG_SCAN: Final = 1 / 64
"""Cost per pixel and scan of a JPEG, at any scale: all coefficients are read."""

_CROPPED: Final = 1 / 16
"""Cost per pixel in the box of a face that is cropped."""

_FACE_PIXELS: Final = 120_000
"""Cost of a face's landmarks, chip and encoding."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The work that an image will take.

    `searched_pixels` is the sum over all levels to search, a second one included; each costs as much as
    `weight` of HOG's. `box_pixels` is the sum over the face boxes given.
    """

    header: Header
    searched_pixels: int = 0
    weight: float = 1.0
    box_pixels: int = 0

    def probes(self, faces: int) -> float:
        """The cost with `faces` faces, at least 1 probe."""
        pixels = self.header.width * self.header.height
        decoding = pixels * (self.header.scan_count * _JPEG_SCAN if self.header.scan_count else _DECODED)
        work = (
            self.searched_pixels * self.weight + self.box_pixels * _CROPPED + faces * _FACE_PIXELS + decoding
        )
        return max(1.0, work / PROBE_PIXELS)
