"""Where the levels of an image pyramid lie on the canvas, the single image that is the network's input."""

import dataclasses
import functools
from typing import Final

_RATE: Final = 5.0 / 6  # dlib's pyramid_down<6>
_MIN_LEVEL_HEIGHT: Final = 5
_GAP: Final = 10
_BORDER: Final = 11


@dataclasses.dataclass(frozen=True)
class Level:
    """The rectangle of one level on the canvas, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column beyond it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row beyond it."""
        return self.top + self.height


@dataclasses.dataclass(frozen=True)
class Tiling:
    """The levels, largest first, and the size in pixels of the canvas that holds them."""

    levels: tuple[Level, ...]
    width: int
    height: int


@functools.lru_cache(maxsize=256)
def lay_out(width: int, height: int) -> Tiling:
    """Lay out the pyramid of an image as dlib's compute_tiled_image_pyramid_details does.

    The first column runs down from the image itself. Once the next level fits beside the last one and half
    of the remaining height is used, a second column runs up along the right edge until it meets the image.
    """
    sizes = _level_sizes(width, height)
    column_height = _first_column_height(sizes)
    levels: list[Level] = []
    y = _BORDER
    for level_width, level_height in sizes:
        if y >= column_height + _BORDER:
            break
        levels.append(Level(_BORDER, y, level_width, level_height))
        y += level_height + _GAP
    y -= _GAP
    for level_width, level_height in sizes[len(levels) :]:
        level = Level(_BORDER + width - level_width, y - level_height, level_width, level_height)
        if level.top < levels[0].bottom:
            break
        levels.append(level)
        y -= level_height + _GAP
    return Tiling(tuple(levels), width + 2 * _BORDER, column_height + 2 * _BORDER)


def _level_sizes(width: int, height: int) -> list[tuple[int, int]]:
    sizes = [(width, height)]
    while True:
        width, height = int(_RATE * width), int(_RATE * height)
        if width == 0 or height < _MIN_LEVEL_HEIGHT:
            return sizes
        sizes.append((width, height))


def _first_column_height(sizes: list[tuple[int, int]]) -> int:
    full_width, full_height = sizes[0]
    # dlib subtracts one gap too many, which decides where the second column begins; so it is kept here.
    total = sum(height + _GAP for _, height in sizes) - 2 * _GAP
    column_height = previous_width = 0
    for width, height in sizes:
        fits = width <= full_width - previous_width - _GAP
        if fits and (column_height - full_height) * 2 >= total - full_height:
            break
        column_height += height + _GAP
        previous_width = width
    return column_height - _GAP
