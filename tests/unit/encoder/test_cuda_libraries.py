"""The extra `gpu` brings the libraries of NVIDIA that the networks take, and no others.

The driver is the machine's. `make check-gpu-libraries` installs it and runs this.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from encoder_service.embedding.device import CUDA
from encoder_service.embedding.runtime import onnxruntime
from tests.fixtures.process import ROOT

PYTHON = os.environ.get("GPU_PYTHON", sys.executable if CUDA in onnxruntime.get_available_providers() else "")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not PYTHON, reason="the extra gpu is not installed here; make check-gpu-libraries"),
]

LOAD_PROVIDER = """
import ctypes, sys
from pathlib import Path
from encoder_service.embedding import cuda
from encoder_service.embedding.runtime import onnxruntime
if "preload" in sys.argv:
    print("missing:", cuda.load_libraries())
folder = Path(onnxruntime.__file__).parent / "capi"
ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
ctypes.CDLL(str(folder / "libonnxruntime_providers_cuda.so"))
"""

LIBRARIES = """
from importlib import metadata
from pathlib import Path
from encoder_service.embedding.runtime import onnxruntime
for each in metadata.distributions():
    if each.name.startswith("nvidia-"):
        for file in each.files:
            if ".so" in file.name:
                print(each.name, file.locate())
provider = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
print("onnxruntime-gpu", provider)
"""


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [PYTHON, "-c", script, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_provider_finds_nvidias_libraries_and_lacks_at_most_the_driver() -> None:
    outcome = run(LOAD_PROVIDER, "preload")
    if outcome.returncode:  # a machine without a GPU
        assert outcome.stderr.splitlines()[-1].startswith("OSError: libcuda.so.1: cannot open")
        assert outcome.stdout.startswith("missing: Failed to load libcuda.so.1: cannot open")
        assert ";" not in outcome.stdout  # nothing else
    else:
        assert outcome.stdout == "missing: \n"


def test_without_loading_them_first_the_provider_finds_none_of_nvidias_libraries() -> None:
    outcome = run(LOAD_PROVIDER)
    assert "OSError: libcublasLt.so" in outcome.stderr


def test_each_wheel_of_nvidia_has_a_library_that_another_one_loads() -> None:
    listed = [line.split(" ", 1) for line in run(LIBRARIES).stdout.splitlines()]
    files = [(package, Path(path)) for package, path in listed]
    loaded = {"nvidia-cudnn-cu13"}  # ONNX Runtime composes its name
    for by, file in files:
        data = file.read_bytes()
        loaded |= {package for package, other in files if package != by and other.name.encode() in data}
    assert loaded | {"onnxruntime-gpu"} == {package for package, _ in files}
