"""The encoder's composition root: settings -> models -> encoder -> servicer -> server.

`encoder_service serve [flags]` serves until SIGTERM; the other commands check or print what it would
serve with.
"""

import asyncio
import contextlib
import functools
import gc
import itertools
import os
import sys
import warnings

import structlog

from encoder_service import doctor, loading
from encoder_service.api.roles import LARGE, ROLES
from encoder_service.api.servicer import SERVICE_NAME, EncoderServicer
from encoder_service.domain.errors import DeviceMissing, ModelDrift, WeightsInvalid
from encoder_service.pipeline import model
from encoder_service.pipeline.encoder import Encoder
from encoder_service.settings import EncoderSettings
from facerec.encoder.v1.encoder_pb2_grpc import add_EncoderServiceServicer_to_server
from facerec.serving.observability import logs, spans
from facerec.serving.observability.watchdog import Watchdog
from facerec.serving.server import command_line, diagnostics, process
from facerec.serving.server.command_line import Command
from facerec.serving.server.errors import StartError
from facerec.serving.server.loop import termination
from facerec.serving.server.server import Server, Service
from facerec.serving.server.settings_loading import load

SERVICE, PROGRAM = "encoder", "encoder_service"
SWITCH_SECONDS = 0.001

log = structlog.get_logger("encoder_service")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 1 where `doctor` found a fault, 2 for a usage error."""
    return command_line.run(PROGRAM, COMMANDS, argv)


def _load(command: str, flags: list[str]) -> EncoderSettings:
    about = COMMANDS[command].about
    return load(EncoderSettings, flags, prog=f"{PROGRAM} {command}", about=about)


async def _check_config(flags: list[str]) -> int:
    return diagnostics.check_config(_load("check-config", flags), flags)


async def _doctor(flags: list[str]) -> int:
    settings = _load("doctor", flags)
    logs.configure("error", settings.log_format)
    first = diagnostics.check_settings(lambda: diagnostics.check_serving(settings))
    return await asyncio.to_thread(
        lambda: diagnostics.report(itertools.chain([first], doctor.examine(settings)))
    )


async def _serve(flags: list[str]) -> None:
    settings = _load("serve", flags)
    process.begin(SERVICE, model.server_version(), settings, **_banner(settings))
    # Pillow's warnings about callers' images do not belong in the log; faults are answered to the caller.
    warnings.filterwarnings("ignore", module="PIL")
    # Image threads yield the GIL sooner than by default, as the event loop waits for it.
    sys.setswitchinterval(SWITCH_SECONDS)
    servicer = EncoderServicer(settings)
    register = functools.partial(add_EncoderServiceServicer_to_server, servicer)
    server = Server(settings.server_options(), [Service(SERVICE_NAME, register, ROLES, large=LARGE)])
    await server.start()
    process.log_listening(SERVICE, server)
    watchdog = Watchdog(settings.stuck_seconds)
    async with contextlib.AsyncExitStack() as watching:
        encoder = await _load_encoder(settings, watchdog, servicer, server)
        stop = termination()  # until here a signal ends the process at once
        if encoder is not None:
            watched = process.watched(watchdog, lag_report_seconds=settings.lag_report_seconds)
            await watching.enter_async_context(watched)
            await server.set_serving(SERVICE_NAME, True)
            log.info("serving", address=server.address, threads=settings.threads)
        gc.freeze()  # objects made so far live until the end, so collections need not scan them
        await stop.wait()
        log.info("stopping")
        await server.stop()
    ended = encoder is None or await asyncio.to_thread(encoder.close)
    await asyncio.to_thread(spans.stop)
    if not ended:
        log.warning("unfinished_work_abandoned", action="exiting; the callers were answered")
        sys.stderr.flush()
        os._exit(0)  # otherwise Python would wait for threads in a native call, however long it takes


async def _load_encoder(
    settings: EncoderSettings, watchdog: Watchdog, servicer: EncoderServicer, server: Server
) -> Encoder | None:
    """Load the models and give them to the servicer.

    Returns None where they fail their self-test; callers are then answered with the failure. Raises
    StartError, with the server stopped, where they cannot be loaded.
    """
    try:
        encoder = await loading.load(settings, watchdog)
    except ModelDrift as error:
        servicer.refuse(f"the model failed its self-test: {error}")
        log.error("self_test_failed", error=str(error))
        return None
    except (WeightsInvalid, DeviceMissing) as error:
        await server.stop()
        raise StartError(str(error)) from error
    servicer.serve(encoder)
    return encoder


async def _version(flags: list[str]) -> None:
    release = model.server_version()
    versions = {"service": SERVICE, "release": release}
    command_line.print_version(PROGRAM, COMMANDS["version"].about, flags, release, versions)


def _banner(settings: EncoderSettings) -> dict[str, object]:
    """The settings that the first line of the log shows."""
    return {
        "address": settings.address,
        "provider": settings.provider,
        "precision": settings.precision,
        "threads": settings.threads,
        "max_images": settings.max_images,
        "max_image_bytes": settings.max_image_bytes,
        "max_pixels": settings.max_pixels,
    }


COMMANDS = {
    "serve": Command("serve gRPC", _serve),
    "check-config": Command("print the settings and where each came from", _check_config),
    "doctor": Command("check everything that serving needs and report faults", _doctor),
    "version": Command("print the release; with --json for programs", _version),
}
