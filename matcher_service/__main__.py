"""`matcher_service serve | migrate | maintain | check-config | doctor | version`."""

import asyncio
import gc
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import structlog

import facerec
from facerec.printable import printable
from facerec.serving.observability import logs, spans
from facerec.serving.observability.loop_lag import LagMeter
from facerec.serving.observability.metrics import BUILD
from facerec.serving.observability.watchdog import Watchdog
from facerec.serving.server import diagnostics, loop
from facerec.serving.server.errors import StartError
from facerec.serving.server.server import wait_for_termination
from facerec.serving.server.settings import load
from matcher_service import doctor
from matcher_service.maintenance import keeper
from matcher_service.postgres import migrations
from matcher_service.postgres.address import why_failed, why_unverified
from matcher_service.service import MatcherService
from matcher_service.settings import EXAMINED, MAINTAINING, MIGRATING, SERVING, MatcherSettings

ABOUT = {
    "serve": "answer gRPC",
    "migrate": "bring the database's schema to this release",
    "maintain": "build and check indexes and erase what is past its time, beside the serving; one at a time",
    "check-config": "print the settings and where each came from",
    "doctor": "look at all that serving needs and say what is amiss",
    "version": "print the release and the schema it needs; with --json for programs",
}
USAGE = "\n".join(
    [
        "usage: matcher_service COMMAND [--help] [flags]",
        "",
        *(f"  {name:<12}  {about}" for name, about in ABOUT.items()),
    ]
)
TAKES = {"serve": SERVING, "migrate": MIGRATING, "maintain": MAINTAINING, "doctor": EXAMINED}

log = structlog.get_logger("matcher_service")


def _load(command: str, argv: list[str]) -> MatcherSettings:
    prog, takes = f"matcher_service {command}", TAKES.get(command)
    return load(MatcherSettings, argv, prog=prog, about=ABOUT[command], takes=takes)


async def serve(argv: list[str]) -> None:
    """Answer until SIGTERM or SIGINT. Raises StartError."""
    settings = _load("serve", argv)
    logs.configure(settings.log_level, settings.log_format)
    log.info(
        "starting",
        release=facerec.__version__,
        schema=migrations.head(),
        address=settings.address,
        encoder=settings.encoder_address,
        connections=settings.max_connections(),
        max_request_bytes=settings.max_request_bytes,
    )
    if why := why_unverified(settings.database_url.get_secret_value()):
        log.warning("database_unverified", why=why)
    BUILD.labels("matcher", facerec.__version__).set(1)
    if settings.trace_endpoint:
        spans.configure("matcher", facerec.__version__, settings.trace_endpoint)
    doctor.check_encoder_client(settings)
    service = MatcherService(settings)
    await service.start()
    watchdog = Watchdog(settings.stuck_seconds)
    watchdog.start()
    lag = LagMeter(settings.lag_report_seconds)
    watching = [asyncio.create_task(watchdog.watch_loop()), asyncio.create_task(lag.run())]
    server = service.server
    log.info("listening", address=server.address, admin=server.admin_address, health=server.health_address)
    gc.freeze()  # what is here by now stays, and need not be looked through at each collection
    await wait_for_termination()
    log.info("stopping")
    await service.stop()
    await asyncio.to_thread(spans.stop)
    for task in watching:
        task.cancel()


async def migrate(argv: list[str]) -> None:
    """Bring the schema to head and say what was applied. Raises StartError."""
    settings = _load("migrate", argv)
    applied = await migrations.migrate(settings.database_url.get_secret_value())
    for name in applied:
        print(f"applied {name}")
    print(f"the schema is at version {migrations.head()}")


async def maintain(argv: list[str]) -> None:
    """Maintain every collection once, or until SIGTERM or SIGINT. Raises StartError."""
    settings = _load("maintain", argv)
    logs.configure(settings.log_level, settings.log_format)
    options = settings.maintenance_options()
    if not settings.maintain_once:
        await ended(keeper.run(options))
        return
    try:
        if not await keeper.run_once(options):
            log.info("another_maintains")
    except keeper.CollectionsFailed as error:
        raise StartError(str(error)) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartError(f"the run was cut short: {why_failed(error)}") from None


async def ended(work: Coroutine[Any, Any, None]) -> None:
    """Run until the work ends or a signal asks to. Raises what the work raises."""
    tasks = [asyncio.create_task(work), asyncio.create_task(wait_for_termination())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def check_config(argv: list[str]) -> int:
    """Print what serving would be told. Raises StartError where serving would."""
    settings = _load("check-config", argv)
    doctor.check_encoder_client(settings)
    return diagnostics.check_config(settings, argv)


async def examine(argv: list[str]) -> int:
    """Print what a look at database and encoder found. Raises StartError."""
    settings = _load("doctor", argv)
    logs.configure("error", settings.log_format)
    return diagnostics.report([finding async for finding in doctor.examine(settings)])


async def version(argv: list[str]) -> None:
    """Print the release and the schema it needs. Raises StartError."""
    if argv in (["--help"], ["-h"]):
        print(f"usage: matcher_service version [--json]\n\n{ABOUT['version']}")
        return
    if argv == ["--json"]:
        found = {"service": "matcher", "release": facerec.__version__, "schema": migrations.head()}
        print(json.dumps(found))
        return
    if argv:
        raise StartError("version takes --json or nothing")
    print(f"facerec matcher {facerec.__version__}, schema {migrations.head()}")


COMMANDS: dict[str, Callable[[list[str]], Coroutine[Any, Any, int | None]]] = {
    "serve": serve,
    "migrate": migrate,
    "maintain": maintain,
    "check-config": check_config,
    "doctor": examine,
    "version": version,
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0, or 2 for what a person must mend."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        print(f"error: there is no command {printable(argv[0])}\n{USAGE}", file=sys.stderr)
        return 2
    return loop.run(COMMANDS[argv[0]](argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
