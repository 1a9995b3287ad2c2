"""NVIDIA's libraries, and memory on a GPU beside memory of the host that it reads at full speed.

ONNX Runtime's CUDA provider is linked to NVIDIA's libraries but not told where the wheels put them, so they
are loaded first. For memory the library that the provider itself uses is called, so that both see one device.
"""

import contextlib
import ctypes
import functools
import io
from typing import Final

import numpy as np
import numpy.typing as npt

from encoder_service.embedding.runtime import onnxruntime

_DRIVER: Final = "libcuda.so.1"
_CUDNN: Final = "libcudnn.so.9"

_TO_DEVICE: Final = 1  # cudaMemcpyHostToDevice
_TO_HOST: Final = 2  # cudaMemcpyDeviceToHost

Bytes = npt.NDArray[np.uint8]


@functools.cache
def load_libraries() -> str:
    """Load NVIDIA's libraries from the installed wheels, or else from where the system looks for libraries.

    Returns what could not be loaded and why; "" where nothing is missing.
    """
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        onnxruntime.preload_dlls()
    failures = [line for line in printed.getvalue().splitlines() if line.startswith("Failed to load")]
    for name in (_CUDNN, _DRIVER):  # the one is not reported, the other not loaded
        try:
            ctypes.CDLL(name)
        except OSError as error:
            failures.append(f"Failed to load {error}")
    return "; ".join(failures)


class CudaBuffer:
    """`size` bytes on the GPU, and as many on the host that are locked in memory, as fast copies require.

    It is never freed: networks live as long as their process. Methods release the GIL, and raise
    RuntimeError with the error's name where CUDA fails.
    """

    def __init__(self, size: int) -> None:
        device, host = ctypes.c_void_p(), ctypes.c_void_p()
        _call("cudaMalloc", ctypes.byref(device), ctypes.c_size_t(size))
        _call("cudaHostAlloc", ctypes.byref(host), ctypes.c_size_t(size), ctypes.c_uint(0))
        assert device.value is not None and host.value is not None
        self.address: Final = device.value
        self.host: Final[Bytes] = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(host.value))

    def upload(self, size: int) -> None:
        """Copy the first `size` bytes from the host to the device, and wait for them."""
        self._copy(self.address, self.host.ctypes.data, size, _TO_DEVICE)

    def download(self, size: int) -> None:
        """Copy the first `size` bytes from the device to the host, and wait for them."""
        self._copy(self.host.ctypes.data, self.address, size, _TO_HOST)

    @staticmethod
    def _copy(target: int, source: int, size: int, direction: int) -> None:
        addresses = ctypes.c_void_p(target), ctypes.c_void_p(source)
        _call("cudaMemcpy", *addresses, ctypes.c_size_t(size), ctypes.c_int(direction))


def runtime_name() -> str:
    """The file name of CUDA's runtime library, of the version that ONNX Runtime was built for."""
    return f"libcudart.so.{onnxruntime.cuda_version.partition('.')[0]}"


@functools.cache
def _runtime() -> ctypes.CDLL:
    library = ctypes.CDLL(runtime_name())
    library.cudaGetErrorName.restype = ctypes.c_char_p
    return library


def _call(function: str, *arguments: object) -> None:
    runtime = _runtime()
    if code := getattr(runtime, function)(*arguments):
        raise RuntimeError(f"CUDA failure {code} in {function}: {runtime.cudaGetErrorName(code).decode()}")
