"""CheckResult faces with dlib's CNN: pyramid, network, boxes."""

from collections.abc import Callable
from typing import Final

import numpy as np

from encoder_service.decoding.pixels import Pixels
from encoder_service.detection.mmod import decoding, pyramid, tiling
from encoder_service.detection.mmod.decoding import Scores
from encoder_service.detection.mmod.pyramid import Pyramid
from encoder_service.domain import cancellation, scaling
from encoder_service.domain.faces import BoundingBox, Detection
from encoder_service.domain.scaling import Copy
from encoder_service.embedding.dlib_weights.mmod import Mmod

_WARM_UP_PIXELS: Final = 80

PYRAMID_PIXELS: Final = 4
"""Of the pyramid for one of the image; narrow images, whose levels and gaps take more, count as more."""

CNN_WEIGHT: Final = 5.0
"""What a pixel searched by the CNN on a CPU costs over one searched by HOG."""


class CnnDetector:
    """dlib's `cnn_face_detection_model_v1`, the same boxes to the pixel. Safe to share between threads.

    `score` runs the network on one pyramid: at once, or in a batch that others share. `weight` is what a
    pixel costs on its device over one that HOG searches.
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
        """Run the network once, which sets up what its first run needs."""
        self.detect(np.zeros((_WARM_UP_PIXELS, _WARM_UP_PIXELS, 3), dtype=np.uint8), upsample=0)

    def searched_pixels(self, copy: Copy) -> int:
        """All of the copy's, or what its pyramid is as costly as."""
        layout = tiling.lay_out(copy.width, copy.height)
        return max(copy.width * copy.height, layout.width * layout.height // PYRAMID_PIXELS)

    def detect(self, pixels: Pixels, *, upsample: int) -> list[Detection]:
        """Find the faces of a uint8 RGB image (height, width, 3), doubled in size `upsample` times.

        The largest come first, those of one size surest first. Boxes are in pixels of the image given
        and not clipped to it. Memory peaks at about 170 bytes for each pixel after doubling. Releases the
        GIL. Raises what `score` raises.
        """
        built = pyramid.build(pixels, self._details.average, upsample=upsample)
        cancellation.check()
        found = decoding.decode(self._score(built), built, self._details)
        return sorted(found, key=lambda detection: detection.box.area, reverse=True)

    def to_picture(self, box: BoundingBox, copy: Copy) -> BoundingBox:
        """Carry a box found on a copy to the picture it is a copy of."""

        def carried(x: int, y: int) -> tuple[int, int]:
            far_x, far_y = scaling.to_picture(
                scaling.enlarge(x, copy.level), scaling.enlarge(y, copy.level), copy
            )
            return round(far_x), round(far_y)

        left, top = carried(box.left, box.top)
        right, bottom = carried(box.right, box.bottom)
        return BoundingBox(top=top, right=right, bottom=bottom, left=left)
