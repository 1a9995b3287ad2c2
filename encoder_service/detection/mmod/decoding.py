"""From the network's scores to the faces of an image."""

from typing import Final

import numpy as np
import numpy.typing as npt

from encoder_service.detection.mmod.pyramid import Pyramid
from encoder_service.detection.mmod.tiling import Level
from encoder_service.domain.faces import BoundingBox, Detection
from encoder_service.embedding.dlib_weights.mmod import Mmod

Scores = npt.NDArray[np.float32]
"""A score per cell (rows, columns); above 0 there is a face."""
Integers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

_LEVEL_RATIO: Final = 6 / 5.0
_LEVEL_SHIFT: Final = 0.3  # dlib's pyramid_down<6>::point_up
_DOUBLED_SHIFT: Final = np.array([1.25, 0.75] * 2)  # x, y of dlib's pyramid_down<2>::point_down


def decode(scores: Scores, pyramid: Pyramid, details: Mmod) -> list[Detection]:
    """Return the faces of the image the pyramid was built from, highest score first.

    Boxes are in pixels of that image, before it was doubled, and not clipped to it.
    """
    rows, columns = np.nonzero(scores > 0)
    positive = scores[rows, columns]
    order = np.argsort(-positive, kind="stable")
    centers = _centers(np.stack([columns, rows], axis=1)[order], details)
    boxes = _to_image(centers, pyramid.tiling.levels, details.window_pixels)
    kept = suppress(boxes, details)
    found = boxes[kept].astype(np.float64)
    for _ in range(pyramid.upsample):
        found = found / 2 - _DOUBLED_SHIFT
    return [
        Detection(BoundingBox(top=top, right=right, bottom=bottom, left=left), float(score))
        for (left, top, right, bottom), score in zip(
            _round(found).tolist(), positive[order][kept], strict=True
        )
    ]


def _centers(cells: Integers, details: Mmod) -> Integers:
    """The centers (x, y), in pixels of the canvas, of the receptive fields of cells (column, row)."""
    return cells * details.cell_pixels + details.field_pixels // 2


def _to_image(centers: Integers, levels: tuple[Level, ...], window_pixels: int) -> Integers:
    """Map windows around pixels of the canvas to boxes (left, top, right, bottom) of the image.

    A window belongs to the level that contains its center, else to the nearest level.
    """
    level_of = _nearest(centers, levels)
    corners = np.array([(level.left, level.top) for level in levels])[level_of]
    reach = (window_pixels - 1) / 2
    offsets = (centers - corners).astype(np.float64)
    boxes = np.concatenate([offsets - reach, offsets + reach], axis=1)
    for depth in range(1, len(levels)):
        deeper = level_of >= depth
        boxes[deeper] = boxes[deeper] * _LEVEL_RATIO + _LEVEL_SHIFT
    return _round(boxes)


def _nearest(points: Integers, levels: tuple[Level, ...]) -> Integers:
    nearest = np.zeros(len(points), dtype=np.int64)
    least = np.full(len(points), np.iinfo(np.int64).max)
    for index, level in enumerate(levels):
        low = np.array([level.left, level.top])
        high = np.array([level.right - 1, level.bottom - 1])
        distance = np.square(points - np.clip(points, low, high)).sum(axis=1)
        nearest[distance < least] = index
        least = np.minimum(least, distance)
    return nearest


def suppress(boxes: Integers, details: Mmod) -> list[int]:
    """Non-maximum suppression: indices of the boxes kept, where `boxes` are ordered by score, highest first.

    A box is kept unless one kept before overlaps it.
    """
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left):
        kept.append(int(left[0]))
        left = left[1:][~_overlap(boxes[left[0]], boxes[left[1:]], details)]
    return kept


def _overlap(box: Integers, others: Integers, details: Mmod) -> npt.NDArray[np.bool_]:
    """Which boxes overlap one too much: dlib's test_box_overlap, relative to the hull and not the union."""
    shared = _areas(np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:]))
    hull = _areas(np.minimum(box[:2], others[:, :2]), np.maximum(box[2:], others[:, 2:]))
    smaller = np.minimum(_areas(box[:2], box[2:]), _areas(others[:, :2], others[:, 2:]))
    covered: npt.NDArray[np.bool_] = shared / smaller > details.covered_threshold
    return (shared / hull > details.overlap_threshold) | covered


def _areas(low: Integers, high: Integers) -> Integers:
    """Pixels from low to high corners (..., 2), edges inclusive; 0 for an empty rectangle."""
    areas: Integers = np.maximum(high - low + 1, 0).prod(axis=-1)
    return areas


def _round(values: Doubles) -> Integers:
    """Round half away from zero."""
    whole = np.trunc(values)
    return (whole + np.trunc(2 * (values - whole))).astype(np.int64)
