"""The network's input: an image at every size, the levels side by side on a canvas of the mean color."""

import dataclasses

import numpy as np
import numpy.typing as npt

from encoder_service.decoding.pixels import Pixels
from encoder_service.detection.mmod import resizing, tiling
from encoder_service.detection.mmod.tiling import Tiling
from encoder_service.domain import cancellation

Color = tuple[float, float, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Pyramid:
    """A canvas, float32 (3, height, width), RGB minus the mean color, and where each level lies on it.

    It takes about 45 bytes per pixel of the image after doubling.
    """

    canvas: npt.NDArray[np.float32]
    tiling: Tiling
    upsample: int
    """How many times the image was doubled."""


def build(pixels: Pixels, average: Color, *, upsample: int) -> Pyramid:
    """Build the pyramid of a uint8 RGB image (height, width, 3), doubled in size `upsample` times.

    Each level is made from the one before it, in float32, as dlib's input_rgb_image_pyramid does it.
    """
    level = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    for _ in range(upsample):
        level = resizing.double(level)
    _, height, width = level.shape
    layout = tiling.lay_out(width, height)
    canvas = np.zeros((3, layout.height, layout.width), dtype=np.float32)
    level -= np.array(average, dtype=np.float32)[:, None, None]
    for tile in layout.levels:
        cancellation.check()
        if level.shape[1:] != (tile.height, tile.width):
            level = resizing.resize(level, tile.height, tile.width)
        canvas[:, tile.top : tile.bottom, tile.left : tile.right] = level
    return Pyramid(canvas, layout, upsample)
