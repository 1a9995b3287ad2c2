"""Writes a parsed network as an ONNX graph."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from encoder_service.domain.errors import WeightsInvalid
from encoder_service.embedding.dlib_weights.layers import (
    AddTagged,
    Affine,
    Convolution,
    Layer,
    Linear,
    Pool,
    Relu,
    Skip,
    Tag,
)
from encoder_service.embedding.dlib_weights.resnet import ResNet

INPUT: Final = "chips"
OUTPUT: Final = "encodings"
_OPSET: Final = 17
_IR_VERSION: Final = 9

Shape = tuple[int, int, int]
Double = npt.NDArray[np.float64]


def write(network: ResNet, *, half: bool = False) -> bytes:
    """Return the ONNX file: uint8 NHWC `chips` (n, 150, 150, 3) RGB -> float32 `encodings` (n, 128).

    Affine layers and the input's `(x - average) / 256` are folded into the convolutions beside them,
    in double precision. `half` computes in float16 between input and output. Raises WeightsInvalid
    where the layers do not fit together.
    """
    side = network.chip_pixels
    graph = _Graph((3, side, side), half=half)
    graph.take_bytes(network.average)
    layers = list(network.layers)
    while layers:
        layer = layers.pop(0)
        if isinstance(layer, Convolution):
            affine = layers.pop(0) if layers and isinstance(layers[0], Affine) else None
            graph.convolve(layer, affine if isinstance(affine, Affine) else None)
        else:
            graph.add(layer)
    chips = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", side, side, 3])
    encodings = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", graph.shape[0]])
    model = helper.make_model(
        helper.make_graph(
            [*graph.nodes, helper.make_node("Cast", [graph.current], [OUTPUT], to=TensorProto.FLOAT)],
            "dlib_resnet",
            [chips],
            [encodings],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="facerec",
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


class _Graph:
    """A graph being written: the current output with its (channels, rows, columns), and tagged outputs."""

    def __init__(self, shape: Shape, *, half: bool) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.current = INPUT
        self.shape = shape
        self._half = half
        self._tagged: dict[int, tuple[str, Shape]] = {}
        self._input_scale: Double | None = None
        self._input_average: Double = np.zeros(3)

    def take_bytes(self, average: tuple[float, float, float]) -> None:
        """Begin with uint8 NHWC; the first convolution includes the normalization `(x - average) / 256`."""
        self._apply("Cast", to=TensorProto.FLOAT16 if self._half else TensorProto.FLOAT)
        self._apply("Transpose", perm=[0, 3, 1, 2])
        self._input_scale = np.full(3, 1 / 256)
        self._input_average = np.array(average)

    def convolve(self, layer: Convolution, affine: Affine | None) -> None:
        """Append a convolution with the affine layer that follows it folded in."""
        weights, bias = layer.weights.astype(np.float64), layer.bias.astype(np.float64)
        if self._input_scale is not None:
            if layer.padding != (0, 0):  # zeros around the image would no longer be the mean color
                raise WeightsInvalid(
                    "the first convolution is padded: the mean color can't be folded into it"
                )
            weights = weights * self._input_scale[None, :, None, None]
            bias = bias - np.einsum("oikl,i->o", weights, self._input_average)
            self._input_scale = None
        if affine is not None:
            weights = weights * affine.gamma[:, None, None, None]
            bias = bias * affine.gamma + affine.beta
        rows, columns = layer.weights.shape[2:]
        self._apply(
            "Conv",
            self._constant(weights.astype(np.float32)),
            self._constant(bias.astype(np.float32)),
            strides=layer.stride,
            pads=layer.padding * 2,
        )
        self.shape = (len(bias), *self._slide((rows, columns), layer.stride, layer.padding))

    def add(self, layer: Layer) -> None:
        """Append a layer that is not a convolution. Raises WeightsInvalid for an unexpected one."""
        match layer:
            case Relu():
                self._apply("Relu")
            case Pool():
                self._pool(layer)
            case Linear():
                self._apply("Flatten")
                self._apply("MatMul", self._constant(layer.weights))
                self.shape = (layer.weights.shape[1], 1, 1)
            case Tag(tag):
                self._tagged[tag] = (self.current, self.shape)
            case Skip(tag):
                self.current, self.shape = self._tagged[tag]
            case AddTagged(tag):
                self._add_tagged(*self._tagged[tag])
            case _:
                raise WeightsInvalid(f"unexpected layer {type(layer).__name__}")

    def _pool(self, layer: Pool) -> None:
        if layer.kernel == (0, 0):
            self._apply("GlobalAveragePool")
            self.shape = (self.shape[0], 1, 1)
            return
        # dlib's average excludes padding from its count; none of these layers is padded.
        kind = {"max": "MaxPool", "avg": "AveragePool"}[layer.kind]
        self._apply(kind, kernel_shape=layer.kernel, strides=layer.stride, pads=layer.padding * 2)
        self.shape = (self.shape[0], *self._slide(layer.kernel, layer.stride, layer.padding))

    def _add_tagged(self, other: str, other_shape: Shape) -> None:
        channels, rows, columns = (max(pair) for pair in zip(self.shape, other_shape, strict=True))
        shape = (channels, rows, columns)
        left = self._pad(self.current, self.shape, shape)
        right = self._pad(other, other_shape, shape)
        self.current, self.shape = left, shape
        self._apply("Add", right)

    def _pad(self, name: str, shape: Shape, target: Shape) -> str:
        """Zero-pad at the end of channels, rows and columns, as dlib's add_prev does."""
        if shape == target:
            return name
        missing = [after - before for before, after in zip(shape, target, strict=True)]
        padded = f"value_{len(self.nodes)}"
        pads = self._constant(np.array([0, 0, 0, 0, 0, *missing], dtype=np.int64))
        self.nodes.append(helper.make_node("Pad", [name, pads], [padded]))
        return padded

    def _slide(
        self, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
    ) -> tuple[int, int]:
        rows, columns = (
            (size + 2 * pad - window) // step + 1
            for size, window, step, pad in zip(self.shape[1:], kernel, stride, padding, strict=True)
        )
        return rows, columns

    def _apply(self, operator: str, *inputs: str, **attributes: Any) -> None:
        output = f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.current, *inputs], [output], **attributes))
        self.current = output

    def _constant(self, values: npt.NDArray[Any]) -> str:
        name = f"constant_{len(self.constants)}"
        if self._half and values.dtype == np.float32:
            values = values.astype(np.float16)
        self.constants.append(numpy_helper.from_array(values, name))
        return name
