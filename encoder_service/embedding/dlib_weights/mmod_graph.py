"""Writes the parsed detector network as an ONNX graph."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from encoder_service.domain.errors import WeightsInvalid
from encoder_service.embedding.dlib_weights.layers import Affine, Convolution
from encoder_service.embedding.dlib_weights.mmod import Mmod

PICTURES: Final = "pictures"
INSIDE: Final = "inside"
SCORES: Final = "scores"
_OPSET: Final = 17
_IR_VERSION: Final = 9
_CHANNEL_BLOCK: Final = 16
"""Channels that ONNX Runtime's widest CPU kernels and GPU kernels process together."""

Double = npt.NDArray[np.float64]


def write(network: Mmod) -> bytes:
    """Return the ONNX file: `pictures` (n, 3, height, width) -> `scores` (n, rows, columns), float32.

    A picture is the canvas of an image's pyramid, RGB minus the mean color. The division by 256, which is
    exact in binary, and the affine layers are folded into the convolutions. `inside` (n, 1, rows, columns) is
    1 for the picture's cells and 0 for the padding that makes it fit a batch, so that the padding gives the
    same zeros as the area beyond the edge of an unpadded picture. Raises WeightsInvalid where layers do not
    fit together.
    """
    graph = _Graph()
    channels = 3
    *convolutions, last = _fold(network)
    for layer, weights, bias in convolutions:
        if layer.padding != (0, 0):
            graph.apply("Mul", INSIDE)
        # Extra channels that are always zero cost less than slow kernels for odd numbers of channels.
        wider = -(-len(bias) // _CHANNEL_BLOCK) * _CHANNEL_BLOCK
        graph.convolve(
            _widen(_widen(weights, axis=1, channels=channels), axis=0, channels=wider),
            _widen(bias, axis=0, channels=wider),
            strides=layer.stride,
            pads=layer.padding * 2,
        )
        graph.apply("Relu")
        channels = wider
    layer, weights, bias = last
    graph.apply("Mul", INSIDE)
    graph.convolve_to_one(_widen(weights, axis=1, channels=channels), bias, layer)
    graph.apply("Squeeze", graph.constant(np.array([1], dtype=np.int64)))
    return graph.serialize()


def _fold(network: Mmod) -> list[tuple[Convolution, Double, Double]]:
    """Return each convolution with its weights and bias, the affine layer after it folded in."""
    folded: list[tuple[Convolution, Double, Double]] = []
    for layer in network.layers:
        if isinstance(layer, Convolution):
            scale = 1.0 if folded else 1 / 256
            folded.append((layer, layer.weights * np.float64(scale), layer.bias.astype(np.float64)))
        elif isinstance(layer, Affine):
            convolution, weights, bias = folded[-1]
            gamma = layer.gamma.astype(np.float64)
            folded[-1] = (convolution, weights * gamma[:, None, None, None], bias * gamma + layer.beta)
    return folded


def _widen(values: Double, *, axis: int, channels: int) -> Double:
    """Append zeros along an axis until it has `channels` channels."""
    missing = [(0, 0)] * values.ndim
    missing[axis] = (0, channels - values.shape[axis])
    return np.pad(values, missing)


class _Graph:
    """A graph being written and the name of its current output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._current = PICTURES

    def apply(self, operator: str, *inputs: str, **attributes: Any) -> None:
        """Append an operator on the current output."""
        output = f"value_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, [self._current, *inputs], [output], **attributes))
        self._current = output

    def convolve(self, weights: Double, bias: Double, *, strides: Sequence[int], pads: Sequence[int]) -> None:
        """Append a convolution; weights (out, in, rows, columns)."""
        weights_name, bias_name = (self.constant(values.astype(np.float32)) for values in (weights, bias))
        self.apply("Conv", weights_name, bias_name, strides=strides, pads=pads)

    def convolve_to_one(self, weights: Double, bias: Double, layer: Convolution) -> None:
        """Append a convolution with one output as two: along rows, an output per row, then along columns.

        Kernels compute many outputs together, so that one output costs as much as all of them.
        """
        if len(weights) != 1 or layer.stride != (1, 1):
            raise WeightsInvalid("the detector's last convolution is not the one expected")
        rows = weights.shape[2]
        along = weights[0].transpose(1, 0, 2)[:, :, None, :]
        down = np.eye(rows).reshape(1, rows, rows, 1)
        pad_y, pad_x = layer.padding
        self.convolve(along, np.zeros(rows), strides=(1, 1), pads=(0, pad_x, 0, pad_x))
        self.convolve(down, bias, strides=(1, 1), pads=(pad_y, 0, pad_y, 0))

    def constant(self, values: npt.NDArray[Any]) -> str:
        """Add a constant and return its name."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def serialize(self) -> bytes:
        """Return the ONNX file."""
        inputs = [
            helper.make_tensor_value_info(PICTURES, TensorProto.FLOAT, ["n", 3, "height", "width"]),
            helper.make_tensor_value_info(INSIDE, TensorProto.FLOAT, ["n", 1, "rows", "columns"]),
        ]
        scores = helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["n", "rows", "columns"])
        self._nodes[-1].output[0] = SCORES
        model = helper.make_model(
            helper.make_graph(self._nodes, "dlib_mmod", inputs, [scores], self._constants),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="facerec",
        )
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))
