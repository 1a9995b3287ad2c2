"""dlib's ResNet in ONNX Runtime: face chips in, encodings out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from encoder_service.embedding.device import Device, Precision
from encoder_service.embedding.dlib_weights import cache, files, resnet

CHIP_PIXELS: Final = 150
ENCODING_VALUES: Final = 128

_MAX_BATCH: Final = 32
_INPUT: Final = "chips"  # as in dlib_weights/graph.py, which imports onnx
_OUTPUT: Final = "encodings"

Chips = npt.NDArray[np.uint8]
Encodings = npt.NDArray[np.float32]


class EmbeddingNetwork:
    """dlib's embedding network, loaded. Threads may share it; it runs without the GIL.

    It runs in the batch sizes of the device, or in any size up to 32 where the device fixes none.
    """

    def __init__(self, model: bytes, device: Device) -> None:
        self._fixed_sizes = device.batch_sizes
        self._sizes = sorted(device.batch_sizes or range(1, _MAX_BATCH + 1))
        self._session = device.open(model, fixed_shapes=True).bind(_shapes(self._sizes[-1]))

    def warm_up(self) -> None:
        """Run every fixed batch size."""
        for size in self._fixed_sizes:
            self._session.warm_up(_shapes(size))

    def embed(self, chips: Sequence[Chips] | Chips) -> Encodings:
        """Encode face chips, each uint8 RGB (150, 150, 3), as float32 (n, 128); n >= 1.

        More than the largest batch are run in several; a batch is padded to the next size.
        """
        largest = self._sizes[-1]
        batches = [chips[begin : begin + largest] for begin in range(0, len(chips), largest)]
        return np.concatenate([self._run(batch) for batch in batches])

    def embed_all(self, chips: Sequence[Chips]) -> Sequence[Encodings]:
        """Encode single chips (150, 150, 3) as one batch; each result is (128,)."""
        return list(self.embed(chips))

    def _run(self, chips: Sequence[Chips] | Chips) -> Encodings:
        count = len(chips)
        size = next(size for size in self._sizes if size >= count)

        def fill(inputs: Mapping[str, Chips]) -> None:
            np.stack(
                list(chips), out=inputs[_INPUT][:count]
            )  # what follows is of an earlier batch, and not read

        return self._session.run(_shapes(size), fill)[:count]


def _shapes(size: int) -> dict[str, tuple[int, ...]]:
    return {_INPUT: (size, CHIP_PIXELS, CHIP_PIXELS, 3), _OUTPUT: (size, ENCODING_VALUES)}


def load(
    weights: files.Weights, device: Device, *, cache_folder: Path, precision: Precision = Precision.FLOAT32
) -> EmbeddingNetwork:
    """Load the network of a ResNet weights file, converting it on first use.

    Raises WeightsInvalid, DeviceMissing.
    """
    to_onnx = convert_to_half if precision is Precision.FP16 else convert
    return EmbeddingNetwork(cache.fetch(cache_folder, weights, to_onnx, variant=variant(precision)), device)


def variant(precision: Precision) -> str:
    """The cache's name of the form that the network has in this precision."""
    return "fp16" if precision is Precision.FP16 else ""


def convert(data: bytes) -> bytes:
    """Convert a ResNet weights file to ONNX. Raises WeightsInvalid."""
    from encoder_service.embedding.dlib_weights import graph  # noqa: PLC0415  (onnx takes 0.3 s to import)

    return graph.write(resnet.parse(data))


def convert_to_half(data: bytes) -> bytes:
    """Convert a ResNet weights file to ONNX in half precision. Raises WeightsInvalid."""
    from encoder_service.embedding.dlib_weights import graph  # noqa: PLC0415

    return graph.write(resnet.parse(data), half=True)
