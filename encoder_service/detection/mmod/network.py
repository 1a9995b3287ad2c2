"""The detector's network in ONNX Runtime: pyramids in, scores out."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from encoder_service.detection.mmod import tiling
from encoder_service.detection.mmod.decoding import Scores
from encoder_service.detection.mmod.pyramid import Pyramid
from encoder_service.embedding.device import Device
from encoder_service.embedding.dlib_weights import cache, files, mmod
from encoder_service.embedding.dlib_weights.mmod import Mmod

_MAX_BATCH: Final = 4
"""Canvases scored together at most; larger batches take more memory and are hardly faster."""

Shape = tuple[int, int]
"""Height and width in pixels."""


class DetectionNetwork:
    """dlib's detection network, loaded. Threads may share it; it runs without the GIL.

    The device's `image_sizes`, (width, height) after doubling, and `batch_sizes` fix the shapes it runs
    in: a pyramid is padded to the smallest shape that holds it and a batch to the next size, which changes
    no score. A pyramid larger than all of them, or any without `image_sizes`, runs in its own shape.
    """

    def __init__(self, model: bytes, details: Mmod, device: Device) -> None:
        self.details: Final = details
        self._session = device.open(model)
        layouts = (tiling.lay_out(*size) for size in device.image_sizes)
        self._shapes = sorted(((each.height, each.width) for each in layouts), key=_area)
        self._batch_sizes = sorted(size for size in device.batch_sizes if size <= _MAX_BATCH)
        # On a CPU a batch takes as long as its canvases one by one, and their memory together.
        self.max_batch: Final = _MAX_BATCH if device.on_gpu else 1

    def warm_up(self) -> None:
        """Run every fixed shape in every batch size."""
        for shape, size in itertools.product(self._shapes, self._batch_sizes or (1,)):
            self._run([], shape, size)

    def score(self, pyramids: Sequence[Pyramid]) -> list[Scores]:
        """Score pyramids, those of one shape in one run, and return the scores in their order.

        A canvas smaller than the network's receptive field has no cells.
        """
        of_shape: dict[Shape, list[int]] = defaultdict(list)
        for index, pyramid in enumerate(pyramids):
            of_shape[self._shape_for(pyramid)].append(index)
        scores: dict[int, Scores] = {}
        for shape, indices in of_shape.items():
            for batch in _split(indices, self._batch_sizes[-1] if self._batch_sizes else len(indices)):
                size = next((size for size in self._batch_sizes if size >= len(batch)), len(batch))
                answers = self._run([pyramids[index] for index in batch], shape, size)
                scores.update(zip(batch, answers, strict=True))
        return [scores[index] for index in range(len(pyramids))]

    def _shape_for(self, pyramid: Pyramid) -> Shape:
        own = pyramid.tiling.height, pyramid.tiling.width
        return next((shape for shape in self._shapes if shape[0] >= own[0] and shape[1] >= own[1]), own)

    def _cells(self, shape: Shape) -> Shape:
        return self.details.cells(shape[0]), self.details.cells(shape[1])

    def _run(self, pyramids: Sequence[Pyramid], shape: Shape, size: int) -> list[Scores]:
        if 0 in self._cells(shape):
            return [np.zeros(self._cells(shape), dtype=np.float32)] * len(pyramids)
        inside = np.zeros((size, 1, *self._cells(shape)), dtype=np.float32)
        own_cells = [self._cells((each.tiling.height, each.tiling.width)) for each in pyramids]
        for index, (rows, columns) in enumerate(own_cells):
            inside[index, :, :rows, :columns] = 1
        feed = {"pictures": _stack(pyramids, shape, size), "inside": inside}
        scores = self._session.run(feed)
        return [score[:rows, :columns] for score, (rows, columns) in zip(scores, own_cells, strict=False)]


def load(weights: files.Weights, device: Device, *, cache_folder: Path) -> DetectionNetwork:
    """Load the network of an MMOD weights file, converting it on first use.

    Raises WeightsInvalid, DeviceMissing.
    """
    return DetectionNetwork(cache.fetch(cache_folder, weights, convert), mmod.parse(weights.data), device)


def convert(data: bytes) -> bytes:
    """Convert an MMOD weights file to ONNX. Raises WeightsInvalid."""
    from encoder_service.embedding.dlib_weights import mmod_graph  # noqa: PLC0415  (onnx takes 0.3 s to import)

    return mmod_graph.write(mmod.parse(data))


def _stack(pyramids: Sequence[Pyramid], shape: Shape, size: int) -> Scores:
    if len(pyramids) == size == 1 and pyramids[0].canvas.shape[1:] == shape:
        return pyramids[0].canvas[None]
    canvases = np.zeros((size, 3, *shape), dtype=np.float32)
    for index, pyramid in enumerate(pyramids):
        canvases[index, :, : pyramid.tiling.height, : pyramid.tiling.width] = pyramid.canvas
    return canvases


def _split(indices: Sequence[int], size: int) -> list[Sequence[int]]:
    return [indices[begin : begin + size] for begin in range(0, len(indices), size)]


def _area(shape: Shape) -> int:
    return shape[0] * shape[1]
