"""Measures the event loop's lag: how late it runs a timer, which delays every call by as much."""

import asyncio
import dataclasses
import time
from typing import Final

import structlog

from facerec.serving.observability.metrics import LOOP_LAG_SECONDS

# A hundred measurements a second would be most of what an idle service does: 1.5 % of a core. Ten sample the
# lags that callers meet: 600 in each line of the log by default, 3,000 in the 5 minutes of the alert.
_INTERVAL_SECONDS: Final = 0.1

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Lag:
    """The lag during one interval, in milliseconds."""

    p50_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    samples: int = 0


class LagMeter:
    """Measures the running loop's lag and logs it every `report_seconds`."""

    def __init__(self, report_seconds: float) -> None:
        self._report_seconds = report_seconds
        self._lags: list[float] = []

    async def run(self) -> None:
        """Measure and log until cancelled."""
        report_at = time.monotonic() + self._report_seconds
        while True:
            due = time.monotonic() + _INTERVAL_SECONDS
            await asyncio.sleep(_INTERVAL_SECONDS)
            now = time.monotonic()
            self._add(now - due)
            if now >= report_at:
                self.report()
                report_at = now + self._report_seconds

    def report(self) -> None:
        """Log the lag since the last report."""
        lags, self._lags = self._lags, []
        log.info("loop_lag_measured", **dataclasses.asdict(summarize(lags)))

    def _add(self, late_seconds: float) -> None:
        """Record a lag, and those of the measurements that it delayed as well."""
        while late_seconds > _INTERVAL_SECONDS:
            self._record(late_seconds)
            late_seconds -= _INTERVAL_SECONDS
        self._record(max(late_seconds, 0.0))

    def _record(self, late_seconds: float) -> None:
        self._lags.append(late_seconds)
        LOOP_LAG_SECONDS.observe(late_seconds)


def summarize(lags: list[float]) -> Lag:
    """Summarize lags given in seconds."""
    if not lags:
        return Lag()
    ordered = sorted(lags)

    def at(share: float) -> float:
        return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)

    return Lag(at(0.5), at(0.99), at(1.0), len(ordered))
