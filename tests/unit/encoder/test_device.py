"""The device is the requested one or the log says so, and a failed device ends the process."""

import subprocess
import sys

import pytest

from encoder_service.domain.errors import DeviceMissing
from encoder_service.embedding import device
from encoder_service.embedding.device import CPU, CUDA, FAILED_STATUS, Device, Provider, Tuning
from encoder_service.embedding.runtime import onnxruntime
from encoder_service.settings import EncoderSettings
from facerec.serving.server.errors import SettingsInvalid
from facerec.serving.server.settings_loading import load
from tests.fixtures.process import ROOT

without_cuda = pytest.mark.skipif(
    CUDA in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA"
)


def choose(provider: Provider) -> Device:
    return device.choose(
        provider, threads=1, tf32=False, memory_bytes=2**30, batch_sizes=(1, 2), image_sizes=((640, 480),)
    )


def test_a_requested_cpu_is_used_silently() -> None:
    assert choose(Provider.CPU) == Device(CPU, 1)


@without_cuda
def test_auto_uses_the_cpu_without_cuda_and_says_so() -> None:
    chosen = choose(Provider.AUTO)
    assert (chosen.name, chosen.on_gpu) == (CPU, False)
    assert "no CUDA provider" in chosen.fallback_reason


@without_cuda
def test_a_requested_cuda_device_is_never_replaced() -> None:
    with pytest.raises(DeviceMissing, match="extra `gpu`"):
        choose(Provider.CUDA)


@pytest.mark.parametrize(
    ("available", "asked", "runs", "fell_back"),
    [
        ([CPU], Provider.AUTO, CPU, False),  # installed for CPUs: no GPU is missed
        ([CUDA, CPU], Provider.AUTO, CPU, True),
        ([CUDA, CPU], Provider.AUTO, CUDA, False),
        ([CUDA, CPU], Provider.CPU, CPU, False),
    ],
)
def test_a_missing_gpu_is_reported_only_with_the_gpu_runtime(
    available: list[str], asked: Provider, runs: str, fell_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    assert device.is_fallback(asked, runs) is fell_back


def test_batches_with_cuda_graphs_never_overlap() -> None:
    with pytest.raises(ValueError, match="in_flight"):
        Tuning(in_flight=2, cuda_graph=True)


def test_tf32_is_refused_without_a_gpu() -> None:
    with pytest.raises(SettingsInvalid, match="tf32"):
        load(EncoderSettings, ["--precision", "tf32"], prog="encoder")


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ("BFCArena::AllocateRawInternal Available memory of 0 is smaller", "out_of_memory"),
        ("Failed to allocate memory for requested buffer of size 9", "out_of_memory"),
        ("CUDA failure 719: unspecified launch failure", "device_lost"),
        ("CUDNN_STATUS_EXECUTION_FAILED", "device_lost"),
        ("CUDA failure 2 in cudaMalloc: cudaErrorMemoryAllocation", "out_of_memory"),
        ("CUDA failure 700 in cudaMemcpy: cudaErrorIllegalAddress", "device_lost"),
        ("Got invalid dimensions for input: chips", ""),
    ],
)
def test_a_failed_device_is_distinguished_from_a_bad_item(message: str, what: str) -> None:
    assert device.failure_kind(RuntimeError(message)) == what


def test_a_network_that_runs_out_of_memory_ends_the_process_with_a_clear_line() -> None:
    script = """
import resource, numpy as np
from encoder_service.embedding import network as embedding
from encoder_service.embedding.device import CPU, Device
from encoder_service.embedding.dlib_weights import files
from pathlib import Path
device = Device(CPU, 1, batch_sizes=(1, 512))
network = embedding.load(files.read(files.find().resnet), device, cache_folder=Path(".cache/models"))
network.embed(np.zeros((1, 150, 150, 3), np.uint8))
chips = np.zeros((512, 150, 150, 3), np.uint8)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)
network.embed(chips)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == FAILED_STATUS, run.stderr
    assert "device_failed" in run.stdout + run.stderr
    assert "out_of_memory" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr
