"""The copy of a picture on which faces are sought: one level of the pyramid dlib builds of it.

A detector of dlib's looks at a picture, doubled as often as asked, and at copies of it, each 5/6 of the
one before. A large face is found on a small copy alone, so the levels above it are work for nothing. The
copy here has the very size of one of those levels, and boxes go back by dlib's own formulas
(dlib/image_transforms/image_pyramid.h): mostly they come out as those of the whole pyramid.
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
class Copy:
    """A picture doubled `upsample` times and then made 5/6 as large `level` times, in pixels."""

    width: int
    height: int
    upsample: int
    level: int

    @property
    def scale(self) -> float:
        """Its size over the picture's."""
        return float(2**self.upsample / _RATIO**self.level)


def within(width: int, height: int, upsample: int, side: int) -> Copy:
    """The largest copy of a picture of that size whose longer side has at most `side` pixels."""
    levels = _levels(width, height, upsample)
    return next((copy for copy in levels if max(copy.width, copy.height) <= side), levels[-1])


def showing(width: int, height: int, upsample: int, *, face: int, window: int) -> Copy:
    """The smallest copy on which faces of `face` pixels still fill a detector's window of `window`."""
    levels = _levels(width, height, upsample)
    return next((copy for copy in reversed(levels) if window <= face * copy.scale), levels[0])


def whole(width: int, height: int, upsample: int) -> Copy:
    """The picture itself, doubled as often as asked."""
    return _levels(width, height, upsample)[0]


def enlarge(value: float, levels: int) -> float:
    """Carry a coordinate of a level to the one `levels` above it."""
    grown = _RATIO**levels
    return value * grown + _SHIFT * (grown - 1) / (_RATIO - 1)


def reduce(value: float, levels: int) -> float:
    """Carry a coordinate of a level to the one `levels` below it."""
    grown = _RATIO**levels
    return (value - _SHIFT * (grown - 1) / (_RATIO - 1)) / grown


def to_picture(x: float, y: float, copy: Copy) -> tuple[float, float]:
    """Carry a point of level 0 of a copy's pyramid to the picture."""
    for _ in range(copy.upsample):
        x, y = x / 2 - _DOUBLED_SHIFTS[0], y / 2 - _DOUBLED_SHIFTS[1]
    return x, y


def levels_of(side: float, window: int) -> int:
    """How many levels down a window becomes a box of that side."""
    return max(0, round(math.log(max(side, 1) / window, _RATIO)))


@functools.lru_cache(maxsize=256)
def _levels(width: int, height: int, upsample: int) -> tuple[Copy, ...]:
    for _ in range(upsample):
        width, height = 2 * width + 2, 2 * height + 1
    found = [Copy(width, height, upsample, 0)]
    while True:
        width, height = int(5 * width / 6), int(5 * height / 6)
        if min(width, height) < _MIN_SIDE:
            return tuple(found)
        found.append(Copy(width, height, upsample, len(found)))
