"""The event loop's lag is the delay that callers experience."""

import asyncio
import time

from structlog.testing import capture_logs

from facerec.serving.observability.loop_lag import LagMeter, summarize


async def test_a_blocked_loop_shows_lag_and_an_idle_one_does_not() -> None:
    meter = LagMeter(report_seconds=60)
    measuring = asyncio.create_task(meter.run())
    with capture_logs() as logs:
        await asyncio.sleep(1)
        meter.report()
        time.sleep(0.5)  # noqa: ASYNC251 - holding the loop is the point
        await asyncio.sleep(0.15)
        meter.report()
    measuring.cancel()
    idle, held = logs
    assert idle["samples"] >= 3
    assert held["max_ms"] > 350  # a timer was due in the first 100 ms of the block, and waited for its end
    assert idle["p50_ms"] < held["max_ms"] / 2


def test_a_long_block_counts_for_every_timer_that_was_due() -> None:
    lag = summarize([0.1, 0.09, 0.08] + [0.001] * 97)
    assert (lag.p50_ms, lag.max_ms, lag.samples) == (1.0, 100.0, 100)
    assert lag.p99_ms == 100.0
    assert summarize([]).samples == 0
