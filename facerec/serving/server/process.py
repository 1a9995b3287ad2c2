"""What a serving process needs beside its server: logs, metrics, traces, watchdog, loop lag."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from facerec.serving.observability import logs, spans
from facerec.serving.observability.loop_lag import LagMeter
from facerec.serving.observability.metrics import BUILD
from facerec.serving.observability.watchdog import Watchdog
from facerec.serving.server.server import Server
from facerec.serving.server.settings import ServingSettings


def begin(service: str, release: str, settings: ServingSettings, **banner: object) -> None:
    """Set up logs, the metric of the release, and traces if they are enabled; log the start.

    `service` is `encoder` or `matcher`, `banner` has further fields of that log line. Raises StartError if
    traces cannot be sent.
    """
    logs.configure(settings.log_level, settings.log_format)
    structlog.get_logger(f"{service}_service").info("starting", release=release, **banner)
    BUILD.labels(service, release).set(1)
    spans.configure(service, release, settings.trace_endpoint)


def log_listening(service: str, server: Server) -> None:
    """Log the addresses of a server that has started."""
    structlog.get_logger(f"{service}_service").info(
        "listening", address=server.address, admin=server.admin_address, health=server.health_address
    )


@contextlib.asynccontextmanager
async def watched(watchdog: Watchdog, *, lag_report_seconds: float) -> AsyncIterator[None]:
    """Measure the running loop's lag and have `watchdog` watch it meanwhile; log the lag at the end."""
    watchdog.start()
    lag = LagMeter(lag_report_seconds)
    tasks = [asyncio.create_task(lag.run()), asyncio.create_task(watchdog.watch_loop())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        lag.report()
