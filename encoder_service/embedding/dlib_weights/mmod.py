"""dlib's face detector trained by max-margin object detection, from `mmod_human_face_detector.dat`."""

import dataclasses
import math
from typing import Final

import numpy as np

from encoder_service.embedding.dlib_weights.layers import READERS, Affine, Convolution, Layer
from encoder_service.embedding.dlib_weights.reader import Reader

LAYERS: Final[tuple[str, ...]] = ("con", *("relu", "affine", "con") * 6)
"""The kinds of the layers, outermost first, from dlib's examples/dnn_mmod_face_detection_ex.cpp."""


@dataclasses.dataclass(frozen=True)
class Mmod:
    """The network, and the box parameters of its loss.

    Layers are innermost first. `average` is the mean color (RGB), which is subtracted before a pixel is
    divided by 256. `window_pixels` is the side of the square that the network detects.
    """

    layers: tuple[Layer, ...]
    average: tuple[float, float, float]
    window_pixels: int
    overlap_threshold: float
    """Of two boxes that share more than this part of their hull, only that of the higher score is kept."""
    covered_threshold: float
    """Likewise where more than this part of the smaller box lies in the other."""

    @property
    def cell_pixels(self) -> int:
        """Pixels from one cell to the next: the network's stride."""
        return math.prod(layer.stride[0] for layer in self._convolutions)

    @property
    def field_pixels(self) -> int:
        """Side of the receptive field of a cell, in pixels, by the unpadded convolutions."""
        field = step = 1
        for layer in self._convolutions:
            if layer.padding == (0, 0):
                field += (layer.weights.shape[2] - 1) * step
                step *= layer.stride[0]
        return field

    def cells(self, pixels: int) -> int:
        """Cells along a side of `pixels` pixels."""
        return max(0, (pixels - self.field_pixels) // self.cell_pixels + 1)

    @property
    def _convolutions(self) -> list[Convolution]:
        return [layer for layer in self.layers if isinstance(layer, Convolution)]


def parse(data: bytes) -> Mmod:
    """Parse the whole file, to its last byte. Raises WeightsInvalid."""
    reader = Reader(data)
    reader.expect(reader.integer(), 1, "file version")
    reader.expect(reader.string(), "loss_mmod_", "loss")
    reader.expect(reader.integer(), 1, "version of the loss")
    rows, columns = reader.integer(), reader.integer()
    reader.expect(rows, columns, "window height")
    for _ in range(3):  # loss per false alarm and per miss, overlap with the truth: training only
        reader.real()
    overlap, covered = reader.real(), reader.real()
    reader.real(), reader.real()  # overlap with what is to be ignored: training only
    versions = [reader.integer() for _ in LAYERS]
    reader.expect(reader.string(), "input_rgb_image_pyramid", "input")
    average = (reader.real(), reader.real(), reader.real())
    layers = tuple(
        _read_layer(reader, kind, version, innermost=index == 0)
        for index, (kind, version) in enumerate(zip(reversed(LAYERS), reversed(versions), strict=True))
    )
    reader.end()
    return Mmod(
        layers=layers,
        average=average,
        window_pixels=rows,
        overlap_threshold=overlap,
        covered_threshold=covered,
    )


def _read_layer(reader: Reader, kind: str, version: int, *, innermost: bool) -> Layer:
    layer = _read_batch_norm(reader) if kind == "affine" else READERS[kind](reader)
    for _ in range(3):  # the state of training: set up, gradient stale, gradient disabled
        reader.boolean()
    reader.tensor(), reader.tensor()  # x_grad, cached_output
    if innermost or version >= 2:
        reader.tensor()  # grad_final or params_grad
    if innermost and version >= 3:
        reader.integer()  # sample expansion factor
    return layer


def _read_batch_norm(reader: Reader) -> Affine:
    """Read an affine layer saved as the batch normalization it was trained as."""
    reader.expect(reader.string(), "bn_con2", "layer")
    params = reader.tensor().reshape(-1).astype(np.float64)
    gamma_shape, beta_shape = reader.alias_tensor(), reader.alias_tensor()
    channels = gamma_shape[1]
    reader.expect((gamma_shape, beta_shape), ((1, channels, 1, 1),) * 2, "normalization shapes")
    reader.expect(params.size, 2 * channels, "normalization parameters")
    reader.tensor(), reader.tensor()  # means and deviations of the last batch: training only
    means, variances = (reader.tensor().reshape(-1).astype(np.float64) for _ in range(2))
    reader.expect((means.size, variances.size), (channels, channels), "normalization statistics")
    reader.integer(), reader.integer()  # updates so far and their window: training only
    for _ in range(4):  # multipliers of learning rate and weight decay: training only
        reader.real()
    gamma = params[:channels] / np.sqrt(variances + reader.real())
    beta = params[channels:] - gamma * means
    return Affine(gamma=gamma.astype(np.float32), beta=beta.astype(np.float32))
