"""NVIDIA's libraries, which ONNX Runtime's CUDA provider does not find by itself in the wheels."""

import contextlib
import ctypes
import functools
import io
from typing import Final

from encoder_service.embedding.runtime import onnxruntime

_DRIVER: Final = "libcuda.so.1"
_CUDNN: Final = "libcudnn.so.9"


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
