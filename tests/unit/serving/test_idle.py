"""What runs in a process beside its calls rarely wakes it."""

import asyncio
import selectors

from facerec.serving.observability.watchdog import Watchdog
from facerec.serving.server import process

MAX_WAKEUPS_PER_SECOND = 13  # each takes 0.15 ms of a busy core


class SimulatedTime(selectors.SelectSelector):
    """Makes a loop's time jump to its next timer, and counts the jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.wakeups = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self.now += timeout
            self.wakeups += 1
        return super().select(0)


async def idle(seconds: float) -> None:
    async with process.watched(Watchdog(0), lag_report_seconds=60):
        await asyncio.sleep(seconds)


def test_an_idle_service_is_seldom_woken_by_its_own_measurements() -> None:
    simulated = SimulatedTime()
    loop = asyncio.SelectorEventLoop(simulated)
    loop.time = lambda: simulated.now  # type: ignore[method-assign]
    try:
        loop.run_until_complete(idle(60))
    finally:
        loop.close()
    assert 60 <= simulated.wakeups <= 60 * MAX_WAKEUPS_PER_SECOND
