"""The detector's network in ONNX Runtime: pyramids in, scores out."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
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
_BOUND_BYTES: Final = 128 * 1024 * 1024
"""The most memory of the canvases of a batch in a fixed shape, which each batch in flight has of its own."""

_PICTURES: Final = "pictures"  # as in dlib_weights/mmod_graph.py, which imports onnx
_INSIDE: Final = "inside"
_SCORES: Final = "scores"

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
        # On a CPU a batch takes as long as its canvases one by one, and their memory together.
        self.max_batch: Final = _MAX_BATCH if device.on_gpu else 1
        self._session = device.open(model, fixed_shapes=False)
        layouts = (tiling.lay_out(*size) for size in device.image_sizes)
        shapes = sorted(((each.height, each.width) for each in layouts), key=_area)
        self._sizes = {shape: _batch_sizes(shape, device.batch_sizes) for shape in shapes}
        if self._sizes:
            self._bound = device.open(model, fixed_shapes=True).bind(self._largest())

    def warm_up(self) -> None:
        """Run every fixed shape in every batch size."""
        for shape, sizes in self._sizes.items():
            for size in sizes:
                self._bound.warm_up(self._tensors(shape, size))

    def score(self, pyramids: Sequence[Pyramid]) -> list[Scores]:
        """Score pyramids, those of one shape in one run, and return the scores in their order.

        A canvas smaller than the network's receptive field has no cells.
        """
        of_shape: dict[Shape, list[int]] = defaultdict(list)
        for index, pyramid in enumerate(pyramids):
            of_shape[self._shape_for(pyramid)].append(index)
        scores: dict[int, Scores] = {}
        for shape, indices in of_shape.items():
            sizes = self._sizes.get(shape) or [len(indices)]
            for batch in _split(indices, sizes[-1]):
                size = next(size for size in sizes if size >= len(batch))
                answers = self._run([pyramids[index] for index in batch], shape, size)
                scores.update(zip(batch, answers, strict=True))
        return [scores[index] for index in range(len(pyramids))]

    def _shape_for(self, pyramid: Pyramid) -> Shape:
        own = pyramid.tiling.height, pyramid.tiling.width
        return next((shape for shape in self._sizes if shape[0] >= own[0] and shape[1] >= own[1]), own)

    def _cells(self, shape: Shape) -> Shape:
        return self.details.cells(shape[0]), self.details.cells(shape[1])

    def _tensors(self, shape: Shape, size: int) -> dict[str, tuple[int, ...]]:
        cells = self._cells(shape)
        return {_PICTURES: (size, 3, *shape), _INSIDE: (size, 1, *cells), _SCORES: (size, *cells)}

    def _largest(self) -> dict[str, tuple[int, ...]]:
        """How many values each tensor has at most, in fixed shapes."""
        tensors = [self._tensors(shape, sizes[-1]) for shape, sizes in self._sizes.items()]
        return {name: (max(math.prod(each[name]) for each in tensors),) for name in tensors[0]}

    def _run(self, pyramids: Sequence[Pyramid], shape: Shape, size: int) -> list[Scores]:
        if 0 in self._cells(shape):
            return [np.zeros(self._cells(shape), dtype=np.float32)] * len(pyramids)
        own_cells = [self._cells((each.tiling.height, each.tiling.width)) for each in pyramids]

        def fill(inputs: Mapping[str, Scores]) -> None:
            _stack(pyramids, inputs[_PICTURES])
            inputs[_INSIDE][:] = 0
            for inside, (rows, columns) in zip(inputs[_INSIDE], own_cells, strict=False):
                inside[:, :rows, :columns] = 1

        if shape in self._sizes:
            scores = self._bound.run(self._tensors(shape, size), fill)
        else:
            scores = self._session.run(self._own_shape(pyramids))
        return [score[:rows, :columns] for score, (rows, columns) in zip(scores, own_cells, strict=False)]

    def _own_shape(self, pyramids: Sequence[Pyramid]) -> dict[str, Scores]:
        """The inputs of pyramids of one shape, which need no padding."""
        canvases = [each.canvas for each in pyramids]
        pictures = canvases[0][None] if len(canvases) == 1 else np.stack(canvases)
        cells = self._cells((pictures.shape[2], pictures.shape[3]))
        return {_PICTURES: pictures, _INSIDE: np.ones((len(canvases), 1, *cells), dtype=np.float32)}


def load(weights: files.Weights, device: Device, *, cache_folder: Path) -> DetectionNetwork:
    """Load the network of an MMOD weights file, converting it on first use.

    Raises WeightsInvalid, DeviceMissing.
    """
    return DetectionNetwork(cache.fetch(cache_folder, weights, convert), mmod.parse(weights.data), device)


def convert(data: bytes) -> bytes:
    """Convert an MMOD weights file to ONNX. Raises WeightsInvalid."""
    from encoder_service.embedding.dlib_weights import mmod_graph  # noqa: PLC0415  (onnx takes 0.3 s to import)

    return mmod_graph.write(mmod.parse(data))


def _batch_sizes(shape: Shape, sizes: Sequence[int]) -> list[int]:
    """The sizes in which pictures of a fixed shape are scored together, as few as their memory allows."""
    picture_bytes = 3 * 4 * _area(shape)
    allowed = min(_MAX_BATCH, max(1, _BOUND_BYTES // picture_bytes))
    return sorted(size for size in sizes if size <= allowed) or [1]


def _stack(pyramids: Sequence[Pyramid], pictures: Scores) -> None:
    """Write the canvases into `pictures` (n, 3, height, width) from the top left; the rest is 0."""
    for picture, pyramid in zip(pictures, pyramids, strict=False):
        height, width = pyramid.tiling.height, pyramid.tiling.width
        picture[:, :height, :width] = pyramid.canvas
        picture[:, height:] = 0
        picture[:, :height, width:] = 0
    pictures[len(pyramids) :] = 0


def _split(indices: Sequence[int], size: int) -> list[Sequence[int]]:
    return [indices[begin : begin + size] for begin in range(0, len(indices), size)]


def _area(shape: Shape) -> int:
    return shape[0] * shape[1]
