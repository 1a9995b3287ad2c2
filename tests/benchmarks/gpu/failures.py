"""A GPU that runs out of memory or fails ends the service's process with a clear line and status 70."""

import asyncio
import contextlib
import ctypes
import gc
import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from PIL import Image

from encoder_service import loading
from encoder_service.domain.faces import EncodeOptions
from encoder_service.embedding import cuda
from encoder_service.embedding.device import FAILED_STATUS
from encoder_service.settings import EncoderSettings
from facerec.client import EncoderClient
from facerec.errors import FacerecError
from facerec.serving.observability.watchdog import Watchdog
from facerec.serving.server.settings_loading import load
from tests.benchmarks.encoder import engine, pictures
from tests.benchmarks.gpu import effort, serving
from tests.benchmarks.gpu.effort import Effort
from tests.benchmarks.gpu.rows import Row
from tests.fixtures.process import ServiceProcess

_LEAST_MEMORY_BYTES: Final = 2**28
_WAIT_SECONDS: Final = 60


def large_picture() -> bytes:
    """A picture whose search at full resolution takes gigabytes of the device."""
    with Image.open(io.BytesIO(pictures.phone_photo())) as photo:
        return pictures.jpeg(photo.resize((3000, 2250)))


def out_of_memory(given: Effort) -> Row:
    """A service with the least memory that its settings allow is sent a picture that takes more."""
    server = serving.start(given, "--gpu-memory-bytes", str(_LEAST_MEMORY_BYTES))
    try:
        if _logs(server, "serving"):
            with contextlib.suppress(FacerecError), EncoderClient(server.address) as client:
                client.encode(large_picture(), detector="cnn", full_resolution=True, upsample=0)
        status = server.process.wait(_WAIT_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        return _row("out of memory", 0, "it goes on", expected="out_of_memory")
    failure = server.event("device_failed")["failure"] if _logs(server, "device_failed") else "no line"
    return _row("out of memory", status, failure, expected="out_of_memory")


def broken_memory() -> Row:
    """A process that serves as the service does loses the memory of its networks on the device."""
    command = [sys.executable, "-m", __spec__.name, "break", "cuda"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    before, _, after = (ended.stdout + ended.stderr).partition("encoded before\n")
    failure = "device_lost" if "device_lost" in after else (before + after)[-200:]
    return _row("CUDA error", ended.returncode, failure, expected="device_lost")


async def encode_on_broken_memory(provider: str) -> None:
    """Encode a picture, free what the networks have on the device, and encode again."""
    flags = ["--provider", provider, "--model-cache-dir", str(engine.MODELS)]
    encoder = loading.build(load(EncoderSettings, flags, prog="gpu_check"), Watchdog(0))
    options = EncodeOptions(detector=encoder.defaults.detector)
    await encoder.encode(pictures.camera_photo(), options)
    print("encoded before", flush=True)
    for each in [found for found in gc.get_objects() if isinstance(found, cuda.CudaBuffer)]:
        ctypes.CDLL(cuda.runtime_name()).cudaFree(ctypes.c_void_p(each.address))
    await encoder.encode(pictures.camera_photo(), options)
    print("encoded after", flush=True)


def run(given: Effort) -> Iterator[Row]:
    """Both failures; a CPU has neither."""
    if not given.on_gpu:
        yield Row("failures", "out of memory, CUDA error", "", "skipped", "they take a GPU")
        return
    yield out_of_memory(given)
    yield broken_memory()


def _logs(server: ServiceProcess, event: str) -> bool:
    """Whether the service logs an event before it ends."""
    try:
        server.event(event)
    except AssertionError:
        return False
    return True


def _row(what: str, status: int, failure: str, *, expected: str) -> Row:
    held = status == FAILED_STATUS and failure == expected
    figure = f"status {status}, {failure}"
    return Row("failures", what, figure, "ok" if held else "FAILED", f"status {FAILED_STATUS}, {expected}")


if __name__ == "__main__":
    if sys.argv[1] == "break":
        asyncio.run(encode_on_broken_memory(sys.argv[2]))
    else:
        for row in run(effort.chosen(sys.argv[1])):
            row.report()
