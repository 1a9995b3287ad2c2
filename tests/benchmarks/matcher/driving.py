"""Ways to drive calls: one after another, many in flight, or at a fixed rate (open loop)."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import numpy as np

from tests.benchmarks.matcher.tables import Seconds

Send = Callable[[int], Awaitable[Any]]


async def one_by_one(send: Send, count: int, first: int = 0) -> Seconds:
    """How long each of `count` calls took, the next one made when one has been answered."""
    times = np.empty(count)
    for number in range(count):
        start = time.perf_counter()
        await send(first + number)
        times[number] = time.perf_counter() - start
    return times


async def rate(send: Send, *, in_flight: int, seconds: float, times: list[float] | None = None) -> float:
    """Calls a second with so many in flight all the time; how long each took is added to `times`."""
    end = time.perf_counter() + seconds
    done = 0

    async def caller(number: int) -> None:
        nonlocal done
        while (begun := time.perf_counter()) < end:
            await send(number)
            if times is not None:
                times.append(time.perf_counter() - begun)
            number += in_flight
            done += 1

    start = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(in_flight)))
    return done / (time.perf_counter() - start)


class Arrivals:
    """Calls at a fixed rate: an open loop, which slow answers do not delay, without retries."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.outcomes: Counter[grpc.StatusCode] = Counter()

    async def run(self, send: Send, *, per_second: float, seconds: float) -> "Arrivals":
        """Make the calls and wait for the last answer."""
        start = time.perf_counter()
        tasks = []
        for number in range(round(per_second * seconds)):
            await asyncio.sleep(start + number / per_second - time.perf_counter())
            tasks.append(asyncio.create_task(self._one(send, number)))
        await asyncio.gather(*tasks)
        return self

    async def _one(self, send: Send, number: int) -> None:
        start = time.perf_counter()
        try:
            await send(number)
        except grpc.aio.AioRpcError as error:
            self.outcomes[error.code()] += 1
        else:
            self.outcomes[grpc.StatusCode.OK] += 1
            self.times.append(time.perf_counter() - start)

    @property
    def seconds(self) -> Seconds:
        return np.array(self.times)
