"""Ten times more calls than the service can take: times of refusals and of admitted calls."""

import asyncio
import dataclasses
import os
import time
from collections import Counter

import numpy as np
import psutil

from facerec.client import AsyncEncoderClient
from facerec.errors import FacerecError, Reason
from tests.benchmarks.encoder import pictures
from tests.benchmarks.encoder.service import PinnedServer
from tests.benchmarks.encoder.tables import table

TIMES = 10
MAX_IMAGES = 32
CALL_SECONDS = 120.0
REFUSED_SECONDS = 0.25  # most that half of the refusals may take
SLOWER_TIMES = 4  # most that the p99 of what is answered may grow


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Latencies in seconds of what was answered and refused, other failures, and memory in bytes."""

    rate: float
    answered: list[float]
    refused: list[float]
    failures: Counter[str]
    memory: list[int]


async def _ask(client: AsyncEncoderClient, image: bytes, outcome: Outcome) -> None:
    begin = time.monotonic()
    try:
        await client.encode(image)
        outcome.answered.append(time.monotonic() - begin)
    except FacerecError as error:
        if error.reason is Reason.OVERLOADED:
            outcome.refused.append(time.monotonic() - begin)
        else:
            outcome.failures[error.reason] += 1


async def saturate(client: AsyncEncoderClient, image: bytes, seconds: float) -> Outcome:
    """Keep as many calls in flight as the service admits."""
    outcome = Outcome(0.0, [], [], Counter(), [])
    begin = time.monotonic()

    async def ask_on() -> None:
        while time.monotonic() < begin + seconds:
            await _ask(client, image, outcome)

    await asyncio.gather(*(ask_on() for _ in range(MAX_IMAGES)))
    return dataclasses.replace(outcome, rate=len(outcome.answered) / (time.monotonic() - begin))


async def overload(
    client: AsyncEncoderClient, image: bytes, server: psutil.Process, *, rate: float, seconds: float
) -> Outcome:
    """Send calls at a fixed rate, whatever their outcome."""
    outcome = Outcome(rate, [], [], Counter(), [])
    begin = time.monotonic()
    due, sample_at = begin, begin
    calls: set[asyncio.Task[None]] = set()
    while (now := time.monotonic()) < begin + seconds:
        while due <= now:
            call = asyncio.create_task(_ask(client, image, outcome))
            calls.add(call)
            call.add_done_callback(calls.discard)
            due += 1 / rate
        if now >= sample_at:
            outcome.memory.append(server.memory_info().rss)
            sample_at = now + 1
        await asyncio.sleep(0.002)
    await asyncio.gather(*calls)
    outcome.memory.append(server.memory_info().rss)
    return outcome


async def measure(address: str, pid: int, seconds: float) -> tuple[Outcome, Outcome]:
    """Saturate, then overload tenfold."""
    image = pictures.camera_photo()
    async with AsyncEncoderClient(address, timeout_seconds=CALL_SECONDS) as client:
        warm = await saturate(client, image, min(seconds / 3, 5))
        saturated = await saturate(client, image, min(max(seconds / 5, 1), 20))
        rate = TIMES * saturated.rate
        process = psutil.Process(pid)
        overloaded = await overload(client, image, process, rate=rate, seconds=seconds)
        assert not warm.failures
        return saturated, overloaded


def attempt(seconds: float) -> tuple[Outcome, Outcome]:
    """Measure a server of its own."""
    flags = ("--max-images", str(MAX_IMAGES * 4 // 3))  # one caller gets three quarters of them
    with PinnedServer(sorted(os.sched_getaffinity(0)), *flags) as server:
        return asyncio.run(measure(server.address, server.process.pid, seconds))


def run(seconds: float) -> bool:
    """Print the table, and whether admitted and refused calls met their time goals."""
    saturated, overloaded = attempt(seconds)
    rows = []
    for name, each in (("saturation", saturated), (f"{TIMES} times that", overloaded)):
        refused = _ms(each.refused, 0.99) if each.refused else "none"
        answered = f"{_ms(each.answered, 0.5)} / {_ms(each.answered, 0.99)}"
        failures = dict(each.failures) or "none"
        rows.append(
            (name, f"{each.rate:.0f}", len(each.answered), answered, len(each.refused), refused, failures)
        )
    head = ("load", "calls/s", "answered", "p50 / p99, ms", "refused", "refused p99, ms", "other failures")
    print(f"{seconds:.0f} s, at most {MAX_IMAGES} images under way\n")
    print(table(head, rows))
    first, rest = (
        overloaded.memory[len(overloaded.memory) // 10],
        overloaded.memory[len(overloaded.memory) // 10 :],
    )
    print(f"\nresident memory {first / 2**20:.0f} MiB, at most {max(rest) / first - 1:+.1%} later")
    quick = bool(overloaded.refused) and np.median(overloaded.refused) < REFUSED_SECONDS
    slower = np.quantile(overloaded.answered, 0.99) / np.quantile(saturated.answered, 0.99)
    held = bool(quick and slower < SLOWER_TIMES)
    print(f"refusals quick, and the admitted at most {SLOWER_TIMES} times slower: {'yes' if held else 'NO'}")
    return held


def _ms(seconds: list[float], share: float) -> str:
    return f"{1000 * float(np.quantile(seconds, share)):.0f}"
