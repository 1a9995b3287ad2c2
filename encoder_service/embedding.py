"""dlib's ResNet in ONNX Runtime: face chips in, encodings out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime

from encoder_service.dlib_weights import cache, files, resnet

DIMENSIONS: Final = 128
CHIP_PIXELS: Final = 150

Chips = npt.NDArray[np.uint8]
Encodings = npt.NDArray[np.float32]


class Embedding:
    """A loaded network. Safe to share between threads; it runs without the GIL."""

    def __init__(self, model: bytes, *, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A thread that spins while it waits takes its core from detection.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.provider: Final = "CPUExecutionProvider"
        self._session = onnxruntime.InferenceSession(model, options, providers=[self.provider])
        self._input = self._session.get_inputs()[0].name

    def embed(self, chips: Chips) -> Encodings:
        """Encode face chips, uint8 RGB (n, 150, 150, 3), as float32 (n, 128); n >= 1."""
        (encodings,) = self._session.run(None, {self._input: chips})
        result: Encodings = encodings
        return result

    def embed_all(self, chips: Sequence[Chips]) -> Sequence[Encodings]:
        """Encode single chips (150, 150, 3) as one batch; each answer is (128,)."""
        return list(self.embed(np.stack(chips)))


def load(weights: files.Weights, *, cache_folder: Path, threads: int) -> Embedding:
    """Load the network of a ResNet weights file, converting it on first use. Raises WeightsInvalid."""
    return Embedding(cache.fetch(cache_folder, weights, convert), threads=threads)


def convert(data: bytes) -> bytes:
    """Convert a ResNet weights file to ONNX. Raises WeightsInvalid."""
    from encoder_service.dlib_weights import graph  # noqa: PLC0415  (onnx takes 0.3 s to import)

    return graph.write(resnet.parse(data))
