"""The CNN detector on the device, and what a picture takes of a core of the host before and after it."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from encoder_service.decoding.header import ImageLimits
from encoder_service.decoding.images import decode
from encoder_service.detection.mmod import decoding, network, pyramid
from encoder_service.detection.mmod.network import DetectionNetwork
from encoder_service.detection.mmod.pyramid import Pyramid
from encoder_service.domain.faces import Alignment, Detection
from encoder_service.embedding.device import CPU as CPU_PROVIDER
from encoder_service.embedding.device import Device, Precision, Tuning
from encoder_service.embedding.dlib_weights import files
from encoder_service.pipeline.alignment import Aligner
from encoder_service.pipeline.quality import QualityAssessor, Thresholds
from tests.benchmarks.encoder import engine, pictures
from tests.benchmarks.gpu import effort
from tests.benchmarks.gpu.effort import ONE, TWO, Effort
from tests.benchmarks.gpu.networks import rate
from tests.benchmarks.gpu.rows import Row, not_run

_SIZE: Final = (640, 480)
_GIL: Final = "dlib's landmarks and chips hold the GIL"


def load(device: Device) -> DetectionNetwork:
    """The network on a device, every fixed shape run once."""
    loaded = network.load(files.read(effort.weights().mmod), device, cache_folder=engine.MODELS)
    loaded.warm_up()
    return loaded


def tuning_rows(
    given: Effort, name: str, tuning: Tuning, built: Pyramid, expected: Sequence[Detection]
) -> Iterator[Row]:
    """Pictures a second by batch, their pyramids built; the boxes must be those of a CPU."""
    cnn = load(given.device(tuning, given.picture_batches))
    found = decoding.decode(cnn.score([built])[0], built, cnn.details)
    same = [each.box for each in found] == [each.box for each in expected]
    yield Row("CNN boxes", name, f"{len(found)} as on a CPU", "ok" if same else "FAILED")
    for batch in given.picture_batches:

        def work(batch: int = batch) -> object:
            return cnn.score([built] * batch)

        pictures_per_second = batch * rate(work, threads=tuning.in_flight, seconds=given.seconds)
        yield Row("CNN pictures a second", f"{name}, batch {batch}", f"{pictures_per_second:,.0f}")


def speed_rows(given: Effort, built: Pyramid, on_cpu: DetectionNetwork) -> Iterator[Row]:
    """Every tuning in float32, the detector's only precision."""
    expected = decoding.decode(on_cpu.score([built])[0], built, on_cpu.details)
    for name, tuning in given.tuned(Precision.FLOAT32):
        try:
            yield from tuning_rows(given, name, tuning, built, expected)
        except Exception as error:
            yield not_run("CNN pictures a second", name, error, promised=tuning in (ONE, TWO))


def host_rows(image: bytes, built: Pyramid, cnn: DetectionNetwork, seconds: float) -> Iterator[Row]:
    """CPU time of each stage of a picture of 640 x 480 with one face, and the rate that it allows."""
    pixels = decode(image, ImageLimits())
    scores = cnn.score([built])[0]
    (face,) = decoding.decode(scores, built, cnn.details)
    aligner = Aligner(effort.weights().landmarks_5)
    landmarks, chip = aligner.align(pixels, face.box, Alignment.SMALL)
    assessor = QualityAssessor(Thresholds())
    stages: dict[str, Callable[[], object]] = {
        "decoding": lambda: decode(image, ImageLimits()),
        "the CNN's pyramid": lambda: pyramid.build(pixels, cnn.details.average, upsample=0),
        "boxes from scores": lambda: decoding.decode(scores, built, cnn.details),
        "landmarks and chip": lambda: aligner.align(pixels, face.box, Alignment.SMALL),
        "quality": lambda: assessor.assess(chip, landmarks, face.box, _SIZE),
    }
    taken = {name: _cpu_seconds(work) for name, work in stages.items()}
    total = sum(taken.values())
    for name, cost in taken.items():
        yield Row("host, one core", name, f"{1000 * cost:.2f} ms", note=f"{cost / total:.0%}")
    cores = len(os.sched_getaffinity(0))
    yield Row("host, pictures a second", f"by the time of {cores} cores", f"{cores / total:,.0f}")
    together = rate(lambda: [work() for work in stages.values()], threads=cores, seconds=seconds)
    yield Row("host, pictures a second", f"in {cores} threads of one process", f"{together:,.0f}", note=_GIL)
    yield Row("host", "canvas copied to the device", f"{built.canvas.nbytes / 1e6:.1f} MB a picture")


def _cpu_seconds(work: Callable[[], object], runs: int = 10) -> float:
    work()
    begin = time.thread_time()
    for _ in range(runs):
        work()
    return (time.thread_time() - begin) / runs


def run(given: Effort) -> Iterator[Row]:
    """The detector by tuning, then the host's stages."""
    image = pictures.camera_photo()
    on_cpu = load(Device(CPU_PROVIDER, 2))
    built = pyramid.build(decode(image, ImageLimits()), on_cpu.details.average, upsample=0)
    yield from speed_rows(given, built, on_cpu)
    yield from host_rows(image, built, on_cpu, given.seconds)


if __name__ == "__main__":
    for row in run(effort.chosen(sys.argv[1])):
        row.report()
