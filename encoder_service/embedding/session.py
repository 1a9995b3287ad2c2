"""A loaded network that runs in memory which is bound to it once, or in memory of the moment.

Bound memory is what a GPU needs to be kept busy: it is not allocated again for each batch, it is copied at
full speed, and with more than one batch in flight one is copied while another is computed.
"""

import math
import queue
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from encoder_service.embedding.runtime import onnxruntime

Array = npt.NDArray[Any]
Scalars = npt.NDArray[np.float32]
Shapes = Mapping[str, tuple[int, ...]]
"""The shape of each input and of the output, by name."""

_TYPES: Final = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}


class Buffer(Protocol):
    """Memory of the host and its counterpart on a device, of the same size in bytes."""

    @property
    def host(self) -> npt.NDArray[np.uint8]:
        """The host's bytes."""

    @property
    def address(self) -> int:
        """Where the device's bytes begin."""

    def upload(self, size: int) -> None:
        """Copy the first `size` bytes to the device."""

    def download(self, size: int) -> None:
        """Copy the first `size` bytes from the device."""


class HostBuffer:
    """Memory of a network on the CPU, which needs no copies: the device's is the host's."""

    def __init__(self, size: int) -> None:
        self.host: Final = np.empty(size, dtype=np.uint8)
        self.address: Final = self.host.ctypes.data

    def upload(self, size: int) -> None:
        """Do nothing."""

    def download(self, size: int) -> None:
        """Do nothing."""


class Session:
    """A loaded network with one output. Threads may share it; it runs without the GIL.

    `buffer` makes the memory for batches; `in_flight` of them may run at once in it. Every use of the device
    is within a `guard`. With `graphs` each bound shape is recorded as a CUDA graph.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        *,
        buffer: Callable[[int], Buffer],
        in_flight: int,
        guard: Callable[[], AbstractContextManager[None]],
        graphs: bool,
    ) -> None:
        self.native: Final = session
        self.guard: Final = guard
        self.buffer: Final = buffer
        self.in_flight: Final = in_flight
        self.graphs: Final = graphs
        self.inputs: Final = {each.name: _TYPES[each.type] for each in session.get_inputs()}
        (output,) = session.get_outputs()
        self.output: Final[str] = output.name

    def run(self, feeds: Mapping[str, Array]) -> Scalars:
        """Run on arrays of any shape, in memory of the moment. Ends the process where its device failed."""
        with self.guard():
            (output,) = self.native.run(None, dict(feeds))
        result: Scalars = output
        return result

    def bind(self, largest: Shapes) -> "BoundSession":
        """Reserve memory for `in_flight` batches of at most these shapes. Ends the process as `run` does."""
        with self.guard():
            return BoundSession([_Slot(self, largest) for _ in range(self.in_flight)])


class BoundSession:
    """A network with memory of its own for each batch in flight. Threads may share it."""

    def __init__(self, slots: "list[_Slot]") -> None:
        self._slots = slots
        self._free: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        for slot in slots:
            self._free.put(slot)

    def run(self, shapes: Shapes, fill: Callable[[Mapping[str, Array]], None]) -> Scalars:
        """Run in these shapes as soon as memory is free, on what `fill` writes into the inputs given to it.

        The inputs are not cleared before. The output is a copy. Ends the process where its device failed.
        """
        slot = self._free.get()
        try:
            return slot.run(shapes, fill)
        finally:
            self._free.put(slot)

    def warm_up(self, shapes: Shapes) -> None:
        """Run in these shapes, in the memory of each batch; call it before any other thread runs."""
        for slot in self._slots:
            slot.run(shapes, _clear)


class _Slot:
    """The memory of one batch in flight, bound to the session in each shape that was run."""

    def __init__(self, session: Session, largest: Shapes) -> None:
        self._session = session
        self._buffers = {
            name: session.buffer(math.prod(shape) * np.dtype(self._type(name)).itemsize)
            for name, shape in largest.items()
        }
        self._bound: dict[tuple[tuple[int, ...], ...], _Binding] = {}

    def run(self, shapes: Shapes, fill: Callable[[Mapping[str, Array]], None]) -> Scalars:
        with self._session.guard():
            bound = self._binding(shapes)
        fill(bound.inputs)
        with self._session.guard():
            return bound.run()

    def _binding(self, shapes: Shapes) -> "_Binding":
        key = tuple(shapes[name] for name in self._buffers)
        if key not in self._bound:
            self._bound[key] = _Binding(self._session, self._buffers, shapes, graph=len(self._bound) + 1)
        return self._bound[key]

    def _type(self, name: str) -> Any:
        return self._session.inputs.get(name, np.float32)


class _Binding:
    """A slot's memory in one shape; `graph` distinguishes its CUDA graph from those of other shapes."""

    def __init__(
        self, session: Session, buffers: Mapping[str, Buffer], shapes: Shapes, *, graph: int
    ) -> None:
        self._session = session
        self._buffers = buffers
        self._binding = session.native.io_binding()
        self._options = onnxruntime.RunOptions()
        if session.graphs:
            self._options.add_run_config_entry("gpu_graph_id", str(graph))
        self.inputs = {
            name: self._bind(self._binding.bind_input, name, kind, shapes[name])
            for name, kind in session.inputs.items()
        }
        name = session.output
        self._output: Scalars = self._bind(self._binding.bind_output, name, np.float32, shapes[name])

    def run(self) -> Scalars:
        for name, values in self.inputs.items():
            self._buffers[name].upload(values.nbytes)
        self._session.native.run_with_iobinding(self._binding, self._options)
        self._buffers[self._session.output].download(self._output.nbytes)
        return self._output.copy()

    def _bind(self, bind: Callable[..., None], name: str, kind: Any, shape: tuple[int, ...]) -> Array:
        buffer = self._buffers[name]
        device = "cpu" if isinstance(buffer, HostBuffer) else "cuda"
        bind(name, device, 0, kind, shape, buffer.address)
        size = math.prod(shape) * np.dtype(kind).itemsize
        values: Array = buffer.host[:size].view(kind).reshape(shape)
        return values


def _clear(inputs: Mapping[str, Array]) -> None:
    for values in inputs.values():
        values[:] = 0
