"""`matcher_service serve | migrate | maintain | check-config | doctor | version`."""

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

import structlog

import facerec
from facerec.serving.observability import logs, spans
from facerec.serving.observability.watchdog import Watchdog
from facerec.serving.server import command_line, diagnostics, process
from facerec.serving.server.command_line import Command
from facerec.serving.server.errors import StartError
from facerec.serving.server.loop import termination
from facerec.serving.server.settings_loading import load
from matcher_service.diagnostics import doctor
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres import migrations
from matcher_service.postgres.connections.address import why_failed
from matcher_service.postgres.connections.url import DatabaseUrl
from matcher_service.postgres.connections.verification import why_unverified
from matcher_service.postgres.driver_errors import CONNECTING_ERRORS
from matcher_service.service import MatcherService
from matcher_service.settings import DIAGNOSING, MAINTAINING, MIGRATING, SERVING, MatcherSettings

SERVICE, PROGRAM = "matcher", "matcher_service"
COMMAND_SETTINGS = {"serve": SERVING, "migrate": MIGRATING, "maintain": MAINTAINING, "doctor": DIAGNOSING}

log = structlog.get_logger("matcher_service")


def _load(command: str, argv: list[str]) -> MatcherSettings:
    prog, about = f"{PROGRAM} {command}", COMMANDS[command].about
    return load(MatcherSettings, argv, prog=prog, about=about, takes=COMMAND_SETTINGS.get(command))


async def serve(argv: list[str]) -> None:
    """Answer until SIGTERM or SIGINT. Raises StartError."""
    settings = _load("serve", argv)
    process.begin(
        SERVICE,
        facerec.__version__,
        settings,
        schema=migrations.head(),
        address=settings.address,
        encoder=settings.encoder_address,
        connections=settings.max_connections(),
        max_request_bytes=settings.max_request_bytes,
    )
    for url in (settings.database_url.get_secret_value(), *settings.read_urls()):
        if why := why_unverified(url):
            log.warning("database_tls_unverified", why=why)
    doctor.check_encoder_client(settings)
    service = MatcherService(settings)
    await service.start()
    stop = termination()  # until here a signal ends the process at once
    watchdog = Watchdog(settings.stuck_seconds)
    async with process.watched(watchdog, lag_report_seconds=settings.lag_report_seconds):
        process.log_listening(SERVICE, service.server)
        gc.freeze()  # what was loaded by now stays; garbage collections need not scan it
        await stop.wait()
        log.info("stopping")
        await service.stop()
    await asyncio.to_thread(spans.stop)


async def migrate(argv: list[str]) -> None:
    """Migrate the schema to head and print what was applied. Raises StartError."""
    settings = _load("migrate", [_long_form(flag) for flag in argv])
    url = DatabaseUrl(settings.database_url.get_secret_value(), settings.file_of("database_url"))
    applied = await migrations.migrate_when_ready(url, wait_seconds=settings.wait_seconds)
    for name in applied:
        print(f"applied {name}")
    print(f"the schema is at version {migrations.head()}")


def _long_form(flag: str) -> str:
    """`--wait` and `--wait=SECONDS` as the setting that they are short for."""
    name, given, seconds = flag.partition("=")
    return f"--wait-seconds={seconds if given else 'inf'}" if name == "--wait" else flag


async def maintain(argv: list[str]) -> None:
    """Maintain every collection once, or until SIGTERM or SIGINT. Raises StartError."""
    settings = _load("maintain", argv)
    logs.configure(settings.log_level, settings.log_format)
    options = settings.maintenance_options()
    await run_until_stopped(maintain_once(options) if settings.maintain_once else runner.run(options))


async def maintain_once(options: MaintenanceOptions) -> None:
    """Maintain every collection, unless another process does. Raises StartError."""
    try:
        if not await runner.run_once(options):
            log.info("maintenance_run_skipped")
    except runner.CollectionsFailed as error:
        raise StartError(str(error)) from None
    except CONNECTING_ERRORS as error:
        raise StartError(f"the run was interrupted: {why_failed(error)}") from None


async def run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until the work ends, SIGTERM or SIGINT. Raises what the work raises."""
    tasks = [asyncio.create_task(work), asyncio.create_task(termination().wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def check_config(argv: list[str]) -> int:
    """Print the settings that `serve` would use. Raises StartError where `serve` would."""
    settings = _load("check-config", argv)
    doctor.check_encoder_client(settings)
    return diagnostics.check_config(settings, argv)


async def examine(argv: list[str]) -> int:
    """Check the settings, the database and the encoder, and print the results. Raises StartError."""
    settings = _load("doctor", argv)
    logs.configure("error", settings.log_format)
    return diagnostics.report([result async for result in doctor.examine(settings)])


async def version(argv: list[str]) -> None:
    """Print the release and the schema it needs. Raises StartError."""
    text = f"facerec matcher {facerec.__version__}, schema {migrations.head()}"
    versions = {"service": SERVICE, "release": facerec.__version__, "schema": migrations.head()}
    command_line.print_version(PROGRAM, COMMANDS["version"].about, argv, text, versions)


COMMANDS = {
    "serve": Command("answer gRPC", serve),
    "migrate": Command("migrate the database's schema to this release", migrate),
    "maintain": Command(
        "build and check indexes and erase what has expired; runs beside `serve`, one process at a time",
        maintain,
    ),
    "check-config": Command("print the settings and where each came from", check_config),
    "doctor": Command("check all that `serve` needs and say what to fix", examine),
    "version": Command("print the release and the schema it needs; with --json for programs", version),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0, or 2 for what a person must fix."""
    return command_line.run(PROGRAM, COMMANDS, argv)
