"""What runs the networks: ONNX Runtime on the CPU or on a GPU."""

import dataclasses
import enum
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt
import structlog

from encoder_service.domain.errors import DeviceMissing
from encoder_service.embedding.runtime import onnxruntime

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
FAILED_STATUS: Final = 70  # EX_SOFTWARE of sysexits.h

_OUT_OF_MEMORY: Final = ("allocate memory", "out of memory", "bad_alloc", "bfcarena")
_LOST: Final = ("cuda", "cudnn", "cublas")

log = structlog.get_logger("encoder_service")


class Provider(enum.StrEnum):
    """What the operator asks for: AUTO takes a GPU where one works and else the CPU, and says so."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Precision(enum.StrEnum):
    """The arithmetic of the ResNet; TF32 is a GPU's own and FP16 halves the weights too."""

    FLOAT32 = "float32"
    TF32 = "tf32"
    FP16 = "fp16"


@dataclasses.dataclass(frozen=True)
class Device:
    """Where networks run and in which shapes.

    With `batch_sizes` and `image_sizes` (width, height), networks run in those shapes alone, for a device
    that prepares itself for each. `note` says why it is not the GPU that was hoped for.
    """

    name: str
    threads: int
    tf32: bool = False
    memory_bytes: int = 0
    batch_sizes: tuple[int, ...] = ()
    image_sizes: tuple[tuple[int, int], ...] = ()
    note: str = ""

    @property
    def on_gpu(self) -> bool:
        """Whether it is one."""
        return self.name == CUDA

    def open(self, model: bytes) -> "Session":
        """Load an ONNX model. Raises DeviceMissing where the GPU does not take it."""
        session = onnxruntime.InferenceSession(model, self._options(), providers=self._providers())
        session.disable_fallback()
        if session.get_providers()[0] != self.name:  # ONNX Runtime would go on with the CPU in silence
            raise DeviceMissing("ONNX Runtime could not load its CUDA provider: is there a GPU and a driver?")
        return Session(session)

    def _options(self) -> onnxruntime.SessionOptions:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # A thread that spins while it waits takes its core from other images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    def _providers(self) -> list[Any]:
        if not self.on_gpu:
            return [CPU]
        settings = {
            "use_tf32": int(self.tf32),
            "gpu_mem_limit": self.memory_bytes,
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "EXHAUSTIVE",
        }
        return [(CUDA, settings)]


class Session:
    """A loaded network. Safe to share between threads; it runs without the GIL."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.inputs: Final = tuple(each.name for each in session.get_inputs())

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """Run the network and return its one output. Ends the process where its device failed."""
        try:
            (output,) = self._session.run(None, dict(feeds))
        except Exception as error:
            if what := failure(error):
                end_process(what)
            raise
        result: npt.NDArray[np.float32] = output
        return result


def choose(
    provider: Provider, *, threads: int, tf32: bool, memory_bytes: int, batch_sizes: Sequence[int],
    image_sizes: Sequence[tuple[int, int]],
) -> Device:  # fmt: skip
    """Choose the device. Raises DeviceMissing where CUDA was asked for and ONNX Runtime has none."""
    note = ""
    if provider is not Provider.CPU:
        if CUDA in onnxruntime.get_available_providers():
            sizes = tuple(batch_sizes), tuple(image_sizes)
            return Device(CUDA, threads, tf32, memory_bytes, *sizes)
        note = "the installed ONNX Runtime has no CUDA provider; the extra `gpu` brings one"
        if provider is Provider.CUDA:
            raise DeviceMissing(note)
    return Device(CPU, threads, note=note)


def fall_back(device: Device, why: str) -> Device:
    """The CPU instead of a GPU that does not work."""
    return Device(CPU, device.threads, note=why)


def fell_back(asked: Provider, name: str) -> bool:
    """Whether a CPU runs what a GPU was expected to: AUTO was asked for and ONNX Runtime is the one for CUDA.

    Whoever installs the one for CPUs expects no GPU, and CUDA that was asked for is never replaced.
    """
    return asked is Provider.AUTO and name == CPU and CUDA in onnxruntime.get_available_providers()


def failure(error: BaseException) -> str:
    """Name the failure of a device, out of memory or lost; empty where the error is another."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(word in text for word in _OUT_OF_MEMORY):
        return "out_of_memory"
    return "device_lost" if any(word in text for word in _LOST) else ""


def end_process(what: str) -> NoReturn:
    """End at once, for a supervisor to start anew: after this a device answers nothing right."""
    log.critical("device_failed", what=what, action="ending the process, to be started again")
    os._exit(FAILED_STATUS)
