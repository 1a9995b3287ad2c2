"""The device that runs the networks: ONNX Runtime on the CPU or on a GPU."""

import contextlib
import dataclasses
import enum
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

import structlog

from encoder_service.domain.errors import DeviceMissing
from encoder_service.embedding import cuda
from encoder_service.embedding.runtime import onnxruntime
from encoder_service.embedding.session import HostBuffer, Session

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
FAILED_STATUS: Final = 70  # EX_SOFTWARE of sysexits.h

_OUT_OF_MEMORY: Final = ("allocate memory", "out of memory", "bad_alloc", "bfcarena", "memoryallocation")
_LOST: Final = ("cuda", "cudnn", "cublas")

log = structlog.get_logger("encoder_service")


class Provider(enum.StrEnum):
    """The setting `provider`: AUTO is a GPU where one works, otherwise the CPU, which is logged."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Precision(enum.StrEnum):
    """The arithmetic of the ResNet. TF32 is for GPUs only; FP16 also halves the size of the weights."""

    FLOAT32 = "float32"
    TF32 = "tf32"
    FP16 = "fp16"


@dataclasses.dataclass(frozen=True)
class Tuning:
    """How a GPU runs a network. No setting: measurements choose the defaults (`scripts/gpu_check`).

    `in_flight` batches are under way at once, so that one is copied while another is computed.
    `prefer_nhwc` keeps channels last in memory. `max_workspace` lets cuDNN choose convolutions that take
    more memory. `cuda_graph` launches all kernels of a run together; such runs may not overlap.
    """

    in_flight: int = 2
    prefer_nhwc: bool = False
    max_workspace: bool = True
    cuda_graph: bool = False

    def __post_init__(self) -> None:
        if self.cuda_graph and self.in_flight > 1:
            raise ValueError("runs with CUDA graphs may not overlap; in_flight must be 1")


@dataclasses.dataclass(frozen=True)
class Device:
    """Where networks run and in which shapes.

    With `batch_sizes` and `image_sizes` (width, height), networks run in these shapes where they hold what is
    given, as a GPU tunes itself for each. `memory_bytes` limits each arena on a GPU. `fallback_reason` says
    why it is the CPU where a GPU was preferred; "" otherwise.
    """

    name: str
    threads: int
    tf32: bool = False
    memory_bytes: int = 0
    batch_sizes: tuple[int, ...] = ()
    image_sizes: tuple[tuple[int, int], ...] = ()
    fallback_reason: str = ""
    tuning: Tuning = Tuning(in_flight=1)

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.name == CUDA

    def open(self, model: bytes, *, fixed_shapes: bool) -> Session:
        """Load an ONNX model. With `fixed_shapes` a GPU takes long for the first run in each.

        Raises DeviceMissing where the GPU can't load it.
        """
        if self.on_gpu and (missing := cuda.load_libraries()):
            raise DeviceMissing(f"ONNX Runtime's CUDA provider can't be used: {missing}")
        session = onnxruntime.InferenceSession(
            model, self._options(), providers=self._providers(fixed_shapes)
        )
        session.disable_fallback()
        if session.get_providers()[0] != self.name:  # ONNX Runtime silently falls back to the CPU
            raise DeviceMissing(
                "ONNX Runtime could not load its CUDA provider: is there a GPU that it supports?"
            )
        return Session(
            session,
            buffer=cuda.CudaBuffer if self.on_gpu else HostBuffer,
            in_flight=self.tuning.in_flight,
            guard=ending_on_failure,
            graphs=self.tuning.cuda_graph,
        )

    def _options(self) -> onnxruntime.SessionOptions:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # A thread that spins while it waits takes a core away from other images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options

    def _providers(self, fixed_shapes: bool) -> list[Any]:
        if not self.on_gpu:
            return [CPU]
        settings = {
            "use_tf32": int(self.tf32),
            "gpu_mem_limit": self.memory_bytes,
            "arena_extend_strategy": "kSameAsRequested",
            # The one times every algorithm of cuDNN for each new shape, the other asks it which will be fast.
            "cudnn_conv_algo_search": "EXHAUSTIVE" if fixed_shapes else "HEURISTIC",
            "cudnn_conv_use_max_workspace": int(self.tuning.max_workspace),
            "prefer_nhwc": int(self.tuning.prefer_nhwc),
            "enable_cuda_graph": int(self.tuning.cuda_graph and fixed_shapes),
        }
        return [(CUDA, settings)]


def choose(
    provider: Provider, *, threads: int, tf32: bool, memory_bytes: int, batch_sizes: Sequence[int],
    image_sizes: Sequence[tuple[int, int]],
) -> Device:  # fmt: skip
    """Choose the device. Raises DeviceMissing for CUDA where ONNX Runtime has no CUDA provider."""
    fallback_reason = ""
    if provider is not Provider.CPU:
        if CUDA in onnxruntime.get_available_providers():
            sizes = tuple(batch_sizes), tuple(image_sizes)
            return Device(CUDA, threads, tf32, memory_bytes, *sizes, tuning=Tuning())
        fallback_reason = "the installed ONNX Runtime has no CUDA provider; install the extra `gpu`"
        if provider is Provider.CUDA:
            raise DeviceMissing(fallback_reason)
    return Device(CPU, threads, fallback_reason=fallback_reason)


def cpu_instead(device: Device, reason: str) -> Device:
    """The CPU in place of a GPU that does not work."""
    return Device(CPU, device.threads, fallback_reason=reason)


def is_fallback(setting: Provider, name: str) -> bool:
    """Whether the CPU runs although a GPU was expected: AUTO with the ONNX Runtime for CUDA.

    With the ONNX Runtime for CPUs no GPU is expected, and the setting CUDA never falls back.
    """
    return setting is Provider.AUTO and name == CPU and CUDA in onnxruntime.get_available_providers()


def failure_kind(error: BaseException) -> str:
    """`out_of_memory` or `device_lost` where a device failed; "" for any other error."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(word in text for word in _OUT_OF_MEMORY):
        return "out_of_memory"
    return "device_lost" if any(word in text for word in _LOST) else ""


@contextlib.contextmanager
def ending_on_failure() -> Iterator[None]:
    """End the process where the block fails because its device did; other errors pass."""
    try:
        yield
    except Exception as error:
        if kind := failure_kind(error):
            end_process(kind)
        raise


def end_process(failure: str) -> NoReturn:
    """End the process at once, for a supervisor to restart it: a device gives no right answer after this."""
    log.critical("device_failed", failure=failure, action="exiting, to be restarted by the supervisor")
    os._exit(FAILED_STATUS)
