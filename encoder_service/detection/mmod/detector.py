"""Face detection with dlib's CNN: pyramid, network, boxes."""

from collections.abc import Callable
from typing import Final

import numpy as np

from encoder_service.decoding.pixels import Pixels
from encoder_service.detection.mmod import decoding, pyramid, tiling
from encoder_service.detection.mmod.decoding import Scores
from encoder_service.detection.mmod.pyramid import Pyramid
from encoder_service.domain import cancellation, scaling
from encoder_service.domain.faces import BoundingBox, Detection
from encoder_service.domain.scaling import PyramidLevel
from encoder_service.embedding.dlib_weights.mmod import Mmod

_WARM_UP_PIXELS: Final = 80

PYRAMID_PIXELS: Final = 4
"""Pixels of the pyramid per pixel of the image; narrow images have more, as gaps between levels add up."""

CNN_WEIGHT: Final = 5.0
"""The cost of a pixel searched by the CNN on a CPU, relative to HOG's."""


class CnnDetector:
    """dlib's `cnn_face_detection_model_v1`, the same boxes to the pixel. Threads may share it.

    `score` runs the network on one pyramid, alone or in a batch. `weight` is the cost of a searched pixel on
    its device, relative to HOG's.
    """

    def __init__(
        self,
        details: Mmod,
        score: Callable[[Pyramid], Scores],
        *,
        max_pixels: int,
        weight: float = CNN_WEIGHT,
    ) -> None:
        self.window_pixels: Final = details.window_pixels
        self.max_pixels: Final = max_pixels
        self.weight: Final = weight
        self._details = details
        self._score = score

    def warm_up(self) -> None:
        """Run the network once, as its first run allocates and is slow."""
        self.detect(np.zeros((_WARM_UP_PIXELS, _WARM_UP_PIXELS, 3), dtype=np.uint8), upsample=0)

    def searched_pixels(self, level: PyramidLevel) -> int:
        """All pixels of the level, or more where its pyramid costs more."""
        layout = tiling.lay_out(level.width, level.height)
        return max(level.width * level.height, layout.width * layout.height // PYRAMID_PIXELS)

    def detect(self, pixels: Pixels, *, upsample: int) -> list[Detection]:
        """Find the faces of a uint8 RGB image (height, width, 3), doubled in size `upsample` times.

        The largest come first; equal sizes are ordered by score, highest first. Boxes are in pixels of
        the image given and not clipped to it. Memory peaks at about 170 bytes per pixel after doubling.
        Releases the GIL. Raises what `score` raises.
        """
        built = pyramid.build(pixels, self._details.average, upsample=upsample)
        cancellation.check()
        found = decoding.decode(self._score(built), built, self._details)
        return sorted(found, key=lambda detection: detection.box.area, reverse=True)

    def to_picture(self, box: BoundingBox, level: PyramidLevel) -> BoundingBox:
        """Map a box found on a level to the picture."""

        def mapped(x: int, y: int) -> tuple[int, int]:
            picture_x, picture_y = scaling.undo_upsampling(
                scaling.enlarge(x, level.depth), scaling.enlarge(y, level.depth), level
            )
            return round(picture_x), round(picture_y)

        left, top = mapped(box.left, box.top)
        right, bottom = mapped(box.right, box.bottom)
        return BoundingBox(top=top, right=right, bottom=bottom, left=left)
