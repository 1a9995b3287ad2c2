"""The service over gRPC compared with its engine alone: overhead, cores, the event loop's lag."""

import asyncio
import dataclasses
import os
import statistics
import time
from collections.abc import Sequence

import psutil

from facerec.client import AsyncEncoderClient
from tests.benchmarks.encoder import engine, pictures
from tests.benchmarks.encoder.tables import table
from tests.fixtures.encoder import EncoderProcess

FLAGS = ("--lag-report-seconds", "86400", "--provider", "cpu")


@dataclasses.dataclass(frozen=True)
class Load:
    """A server under load: images a second, and the share of one core that its client took."""

    images_per_second: float
    client_share: float
    lag_p99_ms: float
    lag_max_ms: float


class PinnedServer:
    """A context manager for an encoder pinned to some cores."""

    def __init__(self, cores: Sequence[int], *flags: str) -> None:
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, set(cores))  # inherited, so that it counts these cores as its own
        try:
            self.process = EncoderProcess(*FLAGS, *flags, cache=engine.MODELS)
        finally:
            os.sched_setaffinity(0, mine)

    def __enter__(self) -> EncoderProcess:
        self.process.event("serving")
        return self.process

    def __exit__(self, *_: object) -> None:
        if self.process.process.poll() is None:
            self.process.stop()


async def saturate(address: str, image: bytes, *, in_flight: int, seconds: float) -> tuple[float, float]:
    """Keep that many calls in flight; return images a second and the client's share of a core."""
    done = 0
    async with AsyncEncoderClient(address) as client:

        async def ask_on() -> None:
            nonlocal done
            while time.monotonic() < end:
                await client.encode(image)
                done += 1

        await client.encode(image)
        me, begin = psutil.Process(), time.monotonic()
        used, end = sum(me.cpu_times()[:2]), begin + seconds
        await asyncio.gather(*(ask_on() for _ in range(in_flight)))
        took = time.monotonic() - begin
        return done / took, (sum(me.cpu_times()[:2]) - used) / took


def load(cores: Sequence[int], image: bytes, *flags: str, seconds: float, in_flight: int = 8) -> Load:
    """Saturate a server of its own on some cores."""
    with PinnedServer(cores, *flags) as server:
        rate, share = asyncio.run(saturate(server.address, image, in_flight=in_flight, seconds=seconds))
        server.stop()
        lag = server.event("loop_lag_measured")
    return Load(rate, share, lag["p99_ms"], lag["max_ms"])


def engine_rate(built: engine.Engine, core: int, image: bytes, *, seconds: float) -> float:
    """Images a second of the engine in this process, on one core."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        done, begin = 0, time.monotonic()
        while (took := time.monotonic() - begin) < seconds:
            built.encode(image)
            done += 1
        return done / took
    finally:
        os.sched_setaffinity(0, mine)


def measure(
    name: str, image: bytes, built: engine.Engine, *, seconds: float, rounds: int
) -> tuple[object, ...]:
    """Measure the engine, the service on one core and on two in turns; a row of their medians."""
    cores = sorted(os.sched_getaffinity(0))
    alone, one, two = [], [], []
    for _ in range(rounds):
        alone.append(engine_rate(built, cores[0], image, seconds=seconds))
        one.append(load(cores[:1], image, seconds=seconds))
        two.append(load(cores[:2], image, seconds=seconds))
    engine_images = statistics.median(alone)
    one_images = statistics.median(each.images_per_second for each in one)
    two_images = statistics.median(each.images_per_second for each in two)
    share = statistics.median(each.client_share for each in two)
    # The client shares the two cores: what it took is not the server's.
    without_client = two_images / (1 - share / 2)
    return (
        name,
        f"{engine_images:.1f}",
        f"{one_images:.1f} ({one_images / engine_images - 1:+.0%})",
        f"{two_images:.1f} ({two_images / one_images:.2f}x)",
        f"{share:.0%}",
        f"{without_client:.1f} ({without_client / one_images:.2f}x)",
        f"{max(each.lag_p99_ms for each in two):.1f} / {max(each.lag_max_ms for each in two):.0f}",
    )


def run(seconds: float = 6.0, rounds: int = 3) -> None:
    """Print the table."""
    built = engine.build()
    pictures_of = (("640 x 480", pictures.camera_photo()), ("4000 x 3000", pictures.phone_photo()))
    rows = [measure(name, image, built, seconds=seconds, rounds=rounds) for name, image in pictures_of]
    head = ("JPEG", "engine, one core", "service, one core", "service, two cores", "client's share of a core")
    print(f"images a second, default profile, 8 calls in flight, medians of {rounds} rounds\n")
    print(table((*head, "two cores less the client", "loop lag p99 / max, ms"), rows))
    by_threads(pictures_of[0][1], seconds=seconds)


def by_threads(image: bytes, *, seconds: float) -> None:
    """Print what other numbers of threads do on two cores."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    rows = []
    for threads in (1, 2, 3, 4):
        found = load(cores, image, "--threads", str(threads), seconds=seconds)
        rows.append((threads, f"{found.images_per_second:.1f}", f"{found.lag_p99_ms:.1f}"))
    print("\nthreads on two cores, 640 x 480\n")
    print(table(("threads", "images a second", "loop lag p99, ms"), rows))
