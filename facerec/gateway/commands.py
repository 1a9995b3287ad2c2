"""The commands of the gateway: `serve`, which `facerec gateway` runs, and `check-config`."""

import gc
import sys

import structlog

import facerec
from facerec.gateway.server import GatewayServer
from facerec.gateway.settings import GatewaySettings
from facerec.printable import printable
from facerec.serving.observability import logs
from facerec.serving.observability.metrics import BUILD
from facerec.serving.observability.watchdog import Watchdog
from facerec.serving.server import command_line, diagnostics, process
from facerec.serving.server.command_line import Command
from facerec.serving.server.loop import termination
from facerec.serving.server.settings_loading import load

SERVICE, PROGRAM = "gateway", "facerec.gateway"
log = structlog.get_logger(PROGRAM)


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code: 2 for a usage error."""
    return command_line.run(PROGRAM, COMMANDS, argv)


def _load(command: str, flags: list[str]) -> GatewaySettings:
    about = COMMANDS[command].about
    return load(GatewaySettings, flags, prog=f"{PROGRAM} {command}", about=about)


async def _serve(flags: list[str]) -> None:
    settings = _load("serve", flags)
    logs.configure(settings.log_level, settings.log_format)
    log.info("starting", release=facerec.__version__, address=settings.address)
    BUILD.labels(SERVICE, facerec.__version__).set(1)
    server = GatewayServer(settings)
    watched = process.watched(
        Watchdog(settings.stuck_seconds), lag_report_seconds=settings.lag_report_seconds
    )
    async with watched, server.running():
        stop = termination()  # until here a signal ends the process at once
        log.info("listening", address=server.address, admin=server.admin_address, console=server.console_url)
        if server.console_refusal and settings.console != "off":
            log.warning("console_not_served", why=server.console_refusal)
        gc.freeze()  # objects made so far live until the end, so collections need not scan them
        await stop.wait()
        log.info("stopping")


async def _check_config(flags: list[str]) -> int:
    settings = _load("check-config", flags)
    for line in diagnostics.describe(settings, flags):
        print(printable(line))
    GatewayServer(settings)
    print("the settings are valid", file=sys.stderr)
    return 0


COMMANDS = {
    "serve": Command("answer HTTP for both services", _serve),
    "check-config": Command("print the settings and where each came from", _check_config),
}
