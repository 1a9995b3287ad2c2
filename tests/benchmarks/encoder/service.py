"""The service on the wire beside its own engine: overhead, cores, the event loop's lag."""

import asyncio
import dataclasses
import os
import time
from collections.abc import Sequence

import psutil

from facerec.client import AsyncEncoderClient
from tests.benchmarks.encoder import engine, pictures
from tests.benchmarks.encoder.tables import median_seconds, table
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
    """An encoder that may use some cores alone, in a `with`."""

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


def load(cores: Sequence[int], image: bytes, *, seconds: float, in_flight: int = 8) -> Load:
    """Saturate a server of its own on some cores."""
    with PinnedServer(cores) as server:
        rate, share = asyncio.run(saturate(server.address, image, in_flight=in_flight, seconds=seconds))
        server.stop()
        lag = server.event("loop_lag")
    return Load(rate, share, lag["p99_ms"], lag["max_ms"])


def engine_rate(core: int, image: bytes, *, runs: int) -> float:
    """Images a second of the engine in this process, on one core."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        built = engine.build()
        return 1 / median_seconds(lambda: built.encode(image), runs=runs)
    finally:
        os.sched_setaffinity(0, mine)


def run(seconds: float = 12.0) -> None:
    """Print the table."""
    cores = sorted(os.sched_getaffinity(0))
    rows = []
    for name, image in (("640 x 480", pictures.camera_photo()), ("4000 x 3000", pictures.phone_photo())):
        alone = engine_rate(cores[0], image, runs=21)
        one = load(cores[:1], image, seconds=seconds)
        two = load(cores[:2], image, seconds=seconds)
        # The client shares the two cores: what it took is not the server's.
        without_client = two.images_per_second / (1 - two.client_share / 2)
        rows.append(
            (
                name,
                f"{alone:.1f}",
                f"{one.images_per_second:.1f} ({1 - one.images_per_second / alone:+.0%} overhead)",
                f"{two.images_per_second:.1f} ({two.images_per_second / one.images_per_second:.2f}x)",
                f"{two.client_share:.0%}",
                f"{without_client:.1f} ({without_client / one.images_per_second:.2f}x)",
                f"{two.lag_p99_ms:.1f} / {two.lag_max_ms:.0f}",
            )
        )
    head = ("JPEG", "engine, one core", "service, one core", "service, two cores", "client's share of a core")
    print("images a second, default profile, 8 calls in flight\n")
    print(table((*head, "two cores less the client", "loop lag p99 / max, ms"), rows))
