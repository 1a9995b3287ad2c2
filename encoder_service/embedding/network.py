"""dlib's ResNet in ONNX Runtime: face chips in, encodings out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from encoder_service.embedding.device import Device, Precision
from encoder_service.embedding.dlib_weights import cache, files, resnet

CHIP_PIXELS: Final = 150

Chips = npt.NDArray[np.uint8]
Encodings = npt.NDArray[np.float32]


class EmbeddingNetwork:
    """dlib's embedding network, loaded. Threads may share it; it runs without the GIL."""

    def __init__(self, model: bytes, device: Device) -> None:
        self._session = device.open(model)
        self._batch_sizes = device.batch_sizes

    def warm_up(self) -> None:
        """Run every fixed batch size."""
        for size in self._batch_sizes:
            self.embed(np.zeros((size, CHIP_PIXELS, CHIP_PIXELS, 3), dtype=np.uint8))

    def embed(self, chips: Chips) -> Encodings:
        """Encode face chips, uint8 RGB (n, 150, 150, 3), as float32 (n, 128); n >= 1.

        Where batch sizes are fixed, the batch is padded to the next size.
        """
        count = len(chips)
        size = next((size for size in self._batch_sizes if size >= count), count)
        if size > count:
            chips = np.concatenate([chips, np.zeros((size - count, *chips.shape[1:]), dtype=np.uint8)])
        return self._session.run({self._session.inputs[0]: chips})[:count]

    def embed_all(self, chips: Sequence[Chips]) -> Sequence[Encodings]:
        """Encode single chips (150, 150, 3) as one batch; each result is (128,)."""
        return list(self.embed(np.stack(chips)))


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
