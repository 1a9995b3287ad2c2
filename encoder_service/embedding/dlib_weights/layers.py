"""The layers of dlib's networks and how each is written in a .dat file."""

import dataclasses
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from encoder_service.embedding.dlib_weights.reader import Reader

Array = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class Convolution:
    """Cross-correlation. weights (out, in, rows, columns), bias (out,)."""

    weights: Array
    bias: Array
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Affine:
    """`gamma * x + beta` for each channel, both (channels,)."""

    gamma: Array
    beta: Array


@dataclasses.dataclass(frozen=True, eq=False)
class Linear:
    """Fully connected without bias. weights (in, out)."""

    weights: Array


@dataclasses.dataclass(frozen=True)
class Relu:
    """`max(x, 0)`."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """Maximum or average over a window; a kernel of (0, 0) spans the whole input."""

    kind: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class AddTagged:
    """Adds the output tagged with this number, the smaller one padded with zeros at its end."""

    tag: int


@dataclasses.dataclass(frozen=True)
class Tag:
    """Tags the input so that a later layer can use it."""

    tag: int


@dataclasses.dataclass(frozen=True)
class Skip:
    """Continues from the output tagged with this number."""

    tag: int


Layer = Convolution | Affine | Linear | Relu | Pool | AddTagged | Tag | Skip


def _read_convolution(reader: Reader) -> Convolution:
    reader.expect(reader.string(), "con_4", "layer")
    params = reader.tensor().reshape(-1)
    filters, rows, columns, *stride_and_padding = (reader.integer() for _ in range(7))
    stride_y, stride_x, padding_y, padding_x = stride_and_padding
    shape, bias_shape = reader.alias_tensor(), reader.alias_tensor()
    reader.expect((shape[0], *shape[2:]), (filters, rows, columns), "filter shape")
    reader.expect(bias_shape, (1, filters, 1, 1), "bias shape")
    split = int(np.prod(shape))
    reader.expect(params.size, split + filters, "convolution parameters")
    _read_multipliers(reader)
    return Convolution(
        weights=params[:split].reshape(shape),
        bias=params[split:],
        stride=(stride_y, stride_x),
        padding=(padding_y, padding_x),
    )


def _read_affine(reader: Reader) -> Affine:
    reader.expect(reader.string(), "affine_", "layer")
    params = reader.tensor().reshape(-1)
    gamma, beta = reader.alias_tensor(), reader.alias_tensor()
    channels = gamma[1]
    reader.expect((gamma, beta), ((1, channels, 1, 1),) * 2, "affine shapes")
    reader.expect(params.size, 2 * channels, "affine parameters")
    reader.expect(reader.integer(), 0, "affine mode")  # 0: one value a channel
    return Affine(gamma=params[:channels], beta=params[channels:])


def _read_linear(reader: Reader) -> Linear:
    reader.expect(reader.string(), "fc_2", "layer")
    outputs, inputs = reader.integer(), reader.integer()
    params = reader.tensor().reshape(-1)
    reader.expect(reader.alias_tensor(), (inputs, outputs, 1, 1), "weight shape")
    reader.alias_tensor()
    reader.expect(reader.integer(), 1, "bias mode")  # 1: no bias
    reader.expect(params.size, inputs * outputs, "fully connected parameters")
    _read_multipliers(reader)
    return Linear(weights=params.reshape(inputs, outputs))


def _read_multipliers(reader: Reader) -> None:
    for _ in range(4):  # of learning rate and weight decay, for weights and bias: training only
        reader.real()


def _read_relu(reader: Reader) -> Relu:
    reader.expect(reader.string(), "relu_", "layer")
    return Relu()


def _read_pool(reader: Reader, kind: str) -> Pool:
    reader.expect(reader.string(), f"{kind}_pool_2", "layer")
    rows, columns, stride_y, stride_x, padding_y, padding_x = (reader.integer() for _ in range(6))
    return Pool(
        kind=kind, kernel=(rows, columns), stride=(stride_y, stride_x), padding=(padding_y, padding_x)
    )


def _read_add_tagged(reader: Reader, tag: int) -> AddTagged:
    reader.expect(reader.string(), "add_prev_", "layer")
    return AddTagged(tag)


READERS: Final[dict[str, Callable[[Reader], Layer]]] = {
    "con": _read_convolution,
    "affine": _read_affine,
    "fc_no_bias": _read_linear,
    "relu": _read_relu,
    "max_pool": lambda reader: _read_pool(reader, "max"),
    "avg_pool": lambda reader: _read_pool(reader, "avg"),
    "add_prev1": lambda reader: _read_add_tagged(reader, 1),
    "add_prev2": lambda reader: _read_add_tagged(reader, 2),
}
"""The reader of each kind of layer that has parameters in the file."""

MARKERS: Final[dict[str, Layer]] = {"tag1": Tag(1), "tag2": Tag(2), "skip1": Skip(1)}
"""Layers that only route outputs: they have a version in the file and no parameters."""
