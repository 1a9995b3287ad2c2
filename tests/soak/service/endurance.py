"""A long run: memory, files, threads and connections do not grow."""

import dataclasses
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil

from facerec.errors import Reason
from tests.soak.service.load import Load
from tests.soak.service.stack import Stack

SAMPLE_SECONDS = 5.0
WARM_SHARE = 0.25  # of the time, in which caches and pools fill
PACE_TRIES = 3


@dataclasses.dataclass(frozen=True)
class Process:
    """A process over time: memory at first and last, its slope, and the most of what should be flat."""

    name: str
    first_mib: float
    last_mib: float
    mib_an_hour: float
    noise_mib: float
    files: tuple[int, int]
    threads: tuple[int, int]

    @property
    def flat(self) -> bool:
        """Whether it grew by no more than it goes up and down."""
        return self.last_mib - self.first_mib <= max(3 * self.noise_mib, 0.03 * self.first_mib)


@dataclasses.dataclass(frozen=True)
class LongRun:
    """What was seen in all that time."""

    seconds: float
    calls: int
    failures: Counter[Reason]
    longest_seconds: float
    wrong: int
    lost: int
    processes: list[Process]


@dataclasses.dataclass(frozen=True)
class Pace:
    """A share of the load that saturates: calls a second of both, and the pause between two claims."""

    saturated_rate: float
    rate: float
    pause_seconds: float


def pace(stack: Stack, photo: Path, *, share: float, workers: int, seconds: float) -> Pace:
    """Measure the calls per second without a pause, and find the pause for a share of that rate."""
    saturated = _rate(stack, photo, workers, 0.0, seconds)
    wanted, pause_seconds = share * saturated, (1 / share - 1) * workers / saturated
    for _ in range(PACE_TRIES):
        rate = _rate(stack, photo, workers, pause_seconds, seconds)
        # A worker takes turns of 1 / rate of all; what is too little or too much is the pause's.
        pause_seconds = max(0.0, pause_seconds + workers / wanted - workers / rate)
    return Pace(saturated, rate, pause_seconds)


def _rate(stack: Stack, photo: Path, workers: int, pause_seconds: float, seconds: float) -> float:
    load = Load(stack.target, photo, workers=workers, claim_pause_seconds=pause_seconds)
    stack.loop.run(load.start())
    time.sleep(seconds / 4)
    before, began = len(load.answers), time.monotonic()
    time.sleep(seconds)
    rate = (len(load.answers) - before) / (time.monotonic() - began)
    stack.loop.run(load.stop())
    stack.loop.run(load.lost())
    return rate


def run(stack: Stack, photo: Path, *, seconds: float, workers: int, pause_seconds: float) -> LongRun:
    """Run a load for a time and sample every process meanwhile."""
    load = Load(stack.target, photo, workers=workers, claim_pause_seconds=pause_seconds)
    stack.loop.run(load.start())
    names = {f"matcher {n}": each.pid for n, each in enumerate(stack.matchers)}
    names |= {f"encoder {n}": each.pid for n, each in enumerate(stack.encoders)}
    samples: dict[str, list[tuple[float, float, int, int]]] = {name: [] for name in names}
    began = time.monotonic()
    try:
        while time.monotonic() - began < seconds:
            for name, pid in names.items():
                process = psutil.Process(pid)
                mib = process.memory_info().rss / 2**20
                samples[name].append(
                    (time.monotonic() - began, mib, process.num_fds(), process.num_threads())
                )
            time.sleep(min(SAMPLE_SECONDS, seconds / 20))
    finally:
        stack.loop.run(load.stop())
    return LongRun(
        seconds=time.monotonic() - began,
        calls=len(load.answers),
        failures=Counter(each.reason for each in load.answers if each.reason is not None),
        longest_seconds=max(each.ended - each.began for each in load.answers),
        wrong=sum(each.wrong for each in load.answers),
        lost=len(stack.loop.run(load.lost())),
        processes=[_process(name, rows) for name, rows in samples.items()],
    )


def _process(name: str, rows: list[tuple[float, float, int, int]]) -> Process:
    warm = np.array(rows[int(WARM_SHARE * len(rows)) :])
    times, mib, files, threads = warm.T
    slope, level = np.polyfit(times, mib, 1)
    part = max(1, len(warm) // 5)
    return Process(
        name=name,
        first_mib=float(np.median(mib[:part])),
        last_mib=float(np.median(mib[-part:])),
        mib_an_hour=float(slope * 3600),
        noise_mib=float(np.std(mib - (slope * times + level))),
        files=(int(files[0]), int(files.max())),
        threads=(int(threads[0]), int(threads.max())),
    )
