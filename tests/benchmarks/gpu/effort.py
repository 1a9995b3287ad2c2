"""How much is measured: everything on a GPU, little on a CPU."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from encoder_service.embedding import device
from encoder_service.embedding.device import Device, Precision, Provider, Tuning
from encoder_service.embedding.dlib_weights import files
from encoder_service.embedding.dlib_weights.files import WeightFiles

ONE: Final = Tuning(in_flight=1)
TWO: Final = Tuning(in_flight=2)
_MEMORY_BYTES: Final = 16 * 1024**3


@dataclasses.dataclass(frozen=True)
class Effort:
    """What is measured, in which batches, and for how many seconds each."""

    provider: Provider
    batches: tuple[int, ...]
    few_batches: tuple[int, ...]
    """Of tunings that are compared."""
    picture_batches: tuple[int, ...]
    seconds: float
    serving_seconds: float
    clients: int
    """Processes that call the service, with four threads each."""
    precisions: tuple[Precision, ...]
    tunings: tuple[tuple[str, Tuning], ...]

    @property
    def on_gpu(self) -> bool:
        """Whether it is the effort for a GPU."""
        return self.provider is Provider.CUDA

    def tuned(self, precision: Precision) -> list[tuple[str, Tuning]]:
        """The tunings that are compared in a precision; that of CUDA graphs, which may fail, is the last."""
        if precision is Precision.TF32:
            return [("two in flight", TWO)]
        return sorted(self.tunings, key=lambda each: each[1].cuda_graph)

    def device(
        self, tuning: Tuning, batches: Sequence[int], precision: Precision = Precision.FLOAT32
    ) -> Device:
        """The device, tuned; it runs in these batches and on pictures of 640 x 480."""
        chosen = device.choose(
            self.provider,
            threads=1 if not self.on_gpu else os.cpu_count() or 1,
            tf32=precision is Precision.TF32,
            memory_bytes=_MEMORY_BYTES,
            batch_sizes=(),
            image_sizes=(),
        )
        sizes = tuple(batches), ((640, 480),)
        return dataclasses.replace(chosen, batch_sizes=sizes[0], image_sizes=sizes[1], tuning=tuning)


GPU: Final = Effort(
    provider=Provider.CUDA,
    batches=(1, 8, 32, 64, 128, 256),
    few_batches=(1, 32, 256),
    picture_batches=(1, 4),
    seconds=1.0,
    serving_seconds=12.0,
    clients=4,
    precisions=(Precision.FLOAT32, Precision.TF32, Precision.FP16),
    tunings=(
        ("one in flight", ONE),
        ("two in flight", TWO),
        ("three in flight", Tuning(in_flight=3)),
        ("channels last", Tuning(prefer_nhwc=True)),
        ("small cuDNN workspace", Tuning(max_workspace=False)),
        ("CUDA graph, one in flight", Tuning(in_flight=1, cuda_graph=True)),
    ),
)
CPU: Final = Effort(
    provider=Provider.CPU,
    batches=(1, 2),
    few_batches=(2,),
    picture_batches=(1,),
    seconds=0.1,
    serving_seconds=1.0,
    clients=1,
    precisions=(Precision.FLOAT32,),
    tunings=(("one in flight", ONE), ("two in flight", TWO)),
)


def weights() -> WeightFiles:
    """dlib's files, from the folder in ENCODER_WEIGHTS_DIR or the installed package."""
    folder = os.environ.get("ENCODER_WEIGHTS_DIR")
    return files.find(Path(folder) if folder else None)


def chosen(provider: str) -> Effort:
    """The effort for the value of `--provider`."""
    return GPU if provider == Provider.CUDA else CPU
