"""The level of dlib's image pyramid from which a search for faces starts.

dlib's detectors search a picture, doubled `upsample` times, and a pyramid of scaled copies, each 5/6 of the
size of the one before. A large face is found on a small copy alone, so searching the larger levels is
wasted. A search here starts on a copy with the exact size of one of those levels. Boxes are mapped back to
the picture by dlib's own formulas (dlib/image_transforms/image_pyramid.h) and mostly equal those that the
whole pyramid gives.
"""

import dataclasses
import functools
import math
from typing import Final

_RATIO: Final = 6 / 5.0  # dlib's pyramid_down<6>
_SHIFT: Final = 0.3  # of its point_up
_DOUBLED_SHIFTS: Final = (1.25, 0.75)  # x, y of pyramid_down<2>'s point_down
_MIN_SIDE: Final = 5


@dataclasses.dataclass(frozen=True)
class PyramidLevel:
    """A picture doubled `upsample` times and then scaled by 5/6 `depth` times; sizes in pixels."""

    width: int
    height: int
    upsample: int
    depth: int

    @property
    def scale(self) -> float:
        """Its size divided by the picture's."""
        return float(2**self.upsample / _RATIO**self.depth)


def largest_within(width: int, height: int, upsample: int, side: int) -> PyramidLevel:
    """The largest level of a picture of that size whose longer side has at most `side` pixels."""
    levels = _levels(width, height, upsample)
    return next((level for level in levels if max(level.width, level.height) <= side), levels[-1])


def smallest_showing(width: int, height: int, upsample: int, *, face: int, window: int) -> PyramidLevel:
    """The smallest level on which faces of `face` pixels still fill a detector's window of `window`."""
    levels = _levels(width, height, upsample)
    return next((level for level in reversed(levels) if window <= face * level.scale), levels[0])


def full_size(width: int, height: int, upsample: int) -> PyramidLevel:
    """The picture itself, doubled `upsample` times."""
    return _levels(width, height, upsample)[0]


def enlarge(value: float, levels: int) -> float:
    """Map a coordinate of a level to the level that is larger by `levels` steps."""
    grown = _RATIO**levels
    return value * grown + _SHIFT * (grown - 1) / (_RATIO - 1)


def reduce(value: float, levels: int) -> float:
    """Map a coordinate of a level to the level that is smaller by `levels` steps."""
    grown = _RATIO**levels
    return (value - _SHIFT * (grown - 1) / (_RATIO - 1)) / grown


def undo_upsampling(x: float, y: float, level: PyramidLevel) -> tuple[float, float]:
    """Map a point of the doubled picture, depth 0, to the picture itself."""
    for _ in range(level.upsample):
        x, y = x / 2 - _DOUBLED_SHIFTS[0], y / 2 - _DOUBLED_SHIFTS[1]
    return x, y


def depth_of(side: float, window: int) -> int:
    """The depth of the level on which a box of that side is as large as the window."""
    return max(0, round(math.log(max(side, 1) / window, _RATIO)))


@functools.lru_cache(maxsize=256)
def _levels(width: int, height: int, upsample: int) -> tuple[PyramidLevel, ...]:
    for _ in range(upsample):
        width, height = 2 * width + 2, 2 * height + 1
    found = [PyramidLevel(width, height, upsample, 0)]
    while True:
        width, height = int(5 * width / 6), int(5 * height / 6)
        if min(width, height) < _MIN_SIDE:
            return tuple(found)
        found.append(PyramidLevel(width, height, upsample, len(found)))
