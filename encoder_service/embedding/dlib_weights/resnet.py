"""dlib's face recognition ResNet-29, from `dlib_face_recognition_resnet_model_v1.dat`."""

import dataclasses
from typing import Final

from encoder_service.embedding.dlib_weights.layers import MARKERS, READERS, Layer
from encoder_service.embedding.dlib_weights.reader import Reader

_PLAIN: Final = ("relu", "add_prev1", "affine", "con", "relu", "affine", "con", "tag1")
_DOWN: Final = (
    *("relu", "add_prev2", "avg_pool", "skip1", "tag2"),
    *("affine", "con", "relu", "affine", "con", "tag1"),
)
# (plain, down) residual blocks of each level, from dlib's examples/dnn_face_recognition_ex.cpp.
_LEVELS: Final = ((0, 1), (2, 1), (2, 1), (3, 1), (3, 0))

LAYERS: Final[tuple[str, ...]] = (
    *("fc_no_bias", "avg_pool"),
    *(name for plain, down in _LEVELS for name in _PLAIN * plain + _DOWN * down),
    *("max_pool", "relu", "affine", "con"),
)
"""The kinds of the layers, outermost first, as dlib declares a network."""


@dataclasses.dataclass(frozen=True)
class ResNet:
    """The network: layers innermost first, the mean color subtracted (RGB), the chip's side in pixels."""

    layers: tuple[Layer, ...]
    average: tuple[float, float, float]
    chip_pixels: int


def parse(data: bytes) -> ResNet:
    """Parse the whole file, to its last byte. Raises WeightsInvalid."""
    reader = Reader(data)
    reader.expect(reader.integer(), 1, "file version")
    reader.expect(reader.string(), "loss_metric_2", "loss")
    reader.real(), reader.real()  # margin and distance threshold: training only
    versions = [reader.integer() for _ in LAYERS]
    reader.expect(reader.string(), "input_rgb_image_sized", "input")
    average = (reader.real(), reader.real(), reader.real())
    rows, columns = reader.integer(), reader.integer()
    reader.expect(rows, columns, "chip height")
    layers = tuple(
        _read_layer(reader, kind, version, innermost=index == 0)
        for index, (kind, version) in enumerate(zip(reversed(LAYERS), reversed(versions), strict=True))
    )
    reader.end()
    return ResNet(layers=layers, average=average, chip_pixels=rows)


def _read_layer(reader: Reader, kind: str, version: int, *, innermost: bool) -> Layer:
    if kind in MARKERS:
        return MARKERS[kind]
    layer = READERS[kind](reader)
    for _ in range(3):  # the state of training: set up, gradient stale, gradient disabled
        reader.boolean()
    reader.tensor(), reader.tensor()  # x_grad, cached_output
    if innermost or version >= 2:
        reader.tensor()  # grad_final or params_grad
    if innermost and version >= 3:
        reader.integer()  # sample expansion factor
    return layer
