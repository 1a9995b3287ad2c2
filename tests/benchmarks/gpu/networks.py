"""The embedding network on the device: right, and how fast in which batch, precision and tuning."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from encoder_service.domain.errors import ModelDrift
from encoder_service.embedding import cuda, golden
from encoder_service.embedding import network as embedding
from encoder_service.embedding.device import CPU as CPU_PROVIDER
from encoder_service.embedding.device import Device, Precision, Tuning
from encoder_service.embedding.dlib_weights import files
from encoder_service.embedding.network import EmbeddingNetwork
from tests.benchmarks.encoder import engine, pictures
from tests.benchmarks.gpu import effort
from tests.benchmarks.gpu.effort import ONE, TWO, Effort
from tests.benchmarks.gpu.rows import Row, Verdict, not_run

GOALS: Final = {Precision.FLOAT32: 50_000.0, Precision.FP16: 200_000.0}
MAX_DISTANCE: Final = 1e-4
_WARM_RUNS: Final = 4
"""CUDA graphs are recorded at the third run."""

Chips = npt.NDArray[np.uint8]


def load(device: Device, precision: Precision) -> EmbeddingNetwork:
    """The network on a device, every fixed batch size run once."""
    weights = files.read(effort.weights().resnet)
    network = embedding.load(weights, device, cache_folder=engine.MODELS, precision=precision)
    network.warm_up()
    return network


def rate(work: Callable[[], object], *, threads: int, seconds: float) -> float:
    """How often a second `work` is done by that many threads; in this thread if it is one."""
    for _ in range(_WARM_RUNS):
        work()
    done = [0] * threads
    begin = time.perf_counter()

    def repeat(index: int) -> None:
        while time.perf_counter() - begin < seconds:
            work()
            done[index] += 1

    if threads == 1:
        repeat(0)
    else:
        workers = [threading.Thread(target=repeat, args=(index,)) for index in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return sum(done) / (time.perf_counter() - begin)


def check_chips() -> Chips:
    """The golden chip, pieces of photos and noise."""
    photos = [np.asarray(photo.image.resize((150, 150)).convert("RGB")) for photo in pictures.photos()]
    noise = np.random.default_rng(0).integers(0, 256, (8, 150, 150, 3), dtype=np.uint8)
    return np.concatenate([golden.chip()[None], np.stack(photos), noise])


def golden_row(network: EmbeddingNetwork, precision: Precision, tuning: str) -> Row:
    """Whether the golden chip allows this precision and tuning."""
    vector = golden.expected("dlib-resnet-v1", effort.weights().resnet)
    (actual,) = network.embed(golden.chip()[None])
    drift = float(np.linalg.norm(actual - vector))
    try:
        golden.check(network, vector, precision)
    except ModelDrift:
        verdict: Verdict = "FAILED"
    else:
        verdict = "ok"
    note = f"at most {golden.MAX_DRIFT[precision]:.1e}"
    return Row("golden chip", f"{precision}, {tuning}", f"{drift:.1e} from dlib", verdict, note)


def distance_row(network: EmbeddingNetwork) -> Row:
    """How far the device's vectors in float32 are from a CPU's."""
    chips = check_chips()
    on_cpu = load(Device(CPU_PROVIDER, 2), Precision.FLOAT32)
    apart = float(np.linalg.norm(network.embed(chips) - on_cpu.embed(chips), axis=1).max())
    verdict: Verdict = "ok" if apart <= MAX_DISTANCE else "FAILED"
    what = f"float32 vectors of {len(chips)} chips beside a CPU's"
    return Row("vectors", what, f"{apart:.1e} apart at most", verdict, f"at most {MAX_DISTANCE:.0e}")


def speed_row(network: EmbeddingNetwork, batch: int, tuning: Tuning, what: str, seconds: float) -> Row:
    """Chips a second in batches of one size, as many at once as the tuning says."""
    random = np.random.default_rng(1)
    chips = list(random.integers(0, 256, (batch, 150, 150, 3), dtype=np.uint8))
    batches = rate(lambda: network.embed_all(chips), threads=tuning.in_flight, seconds=seconds)
    return Row("chips a second", f"{what}, batch {batch}", f"{batch * batches:,.0f}")


def copy_row(batch: int) -> Row:
    """How fast one batch of chips is copied to the GPU."""
    size = batch * golden.chip().nbytes
    buffer = cuda.CudaBuffer(size)
    copies = rate(lambda: buffer.upload(size), threads=1, seconds=0.3)
    return Row("copies", f"{batch} chips to the device", f"{copies * size / 1e9:.1f} GB/s")


def tuning_rows(given: Effort, precision: Precision, name: str, tuning: Tuning) -> Iterator[Row]:
    """One tuning in one precision; what the golden chip refuses is not timed."""
    batches = given.batches if tuning == TWO else given.few_batches
    network = load(given.device(tuning, batches, precision), precision)
    allowed = golden_row(network, precision, name)
    yield allowed
    if precision is Precision.FLOAT32 and tuning == TWO:
        yield distance_row(network)
        if given.on_gpu:
            yield copy_row(batches[-1])
    for batch in batches if allowed.verdict == "ok" else ():
        row = speed_row(network, batch, tuning, f"{precision}, {name}", given.seconds)
        goal = GOALS.get(precision) if given.on_gpu and batch == batches[-1] else None
        yield row.against(goal, float(row.figure.replace(",", ""))) if goal else row


def run(given: Effort) -> Iterator[Row]:
    """Every precision and tuning."""
    for precision in given.precisions:
        for name, tuning in given.tuned(precision):
            try:
                yield from tuning_rows(given, precision, name, tuning)
            except Exception as error:
                yield not_run("chips a second", f"{precision}, {name}", error, promised=tuning in (ONE, TWO))


if __name__ == "__main__":
    for row in run(effort.chosen(sys.argv[1])):
        row.report()
