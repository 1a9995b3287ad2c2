"""The encoder's composition root: settings -> models -> encoder -> servicer -> server.

`python -m encoder_service serve [flags]` serves until SIGTERM; the other commands look at what it would
serve with.
"""

import asyncio
import functools
import gc
import itertools
import json
import os
import sys
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from encoder_service import doctor, loading
from encoder_service.api.roles import LARGE, ROLES
from encoder_service.api.servicer import SERVICE_NAME, EncoderServicer
from encoder_service.domain.errors import DeviceMissing, ModelDrift, WeightsInvalid
from encoder_service.pipeline import model
from encoder_service.settings import EncoderSettings
from facerec.encoder.v1.encoder_pb2_grpc import add_EncoderServiceServicer_to_server
from facerec.printable import printable
from facerec.serving.observability import logs, spans
from facerec.serving.observability.loop_lag import LagMeter
from facerec.serving.observability.metrics import BUILD
from facerec.serving.observability.watchdog import Watchdog
from facerec.serving.server import diagnostics, loop
from facerec.serving.server import settings as serving_settings
from facerec.serving.server.errors import StartError
from facerec.serving.server.server import Server, Service, wait_for_termination

SWITCH_SECONDS = 0.001

ABOUT = {
    "serve": "answer gRPC",
    "check-config": "print the settings and where each came from",
    "doctor": "look at all that serving needs and say what is amiss",
    "version": "print the release; with --json for programs",
}
USAGE = "\n".join(
    [
        "usage: python -m encoder_service COMMAND [--help] [flags]",
        "",
        *(f"  {name:<12}  {about}" for name, about in ABOUT.items()),
    ]
)

log = structlog.get_logger("encoder_service")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the process's exit code: 0, 1 for a doctor's finding, 2 for misuse."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        print(f"error: there is no command {printable(argv[0])}\n{USAGE}", file=sys.stderr)
        return 2
    return loop.run(COMMANDS[argv[0]](argv[1:]))


def _load(command: str, flags: list[str]) -> EncoderSettings:
    prog = f"python -m encoder_service {command}"
    return serving_settings.load(EncoderSettings, flags, prog=prog, about=ABOUT[command])


async def _check_config(flags: list[str]) -> int:
    return diagnostics.check_config(_load("check-config", flags), flags)


async def _doctor(flags: list[str]) -> int:
    settings = _load("doctor", flags)
    logs.configure("error", settings.log_format)
    first = diagnostics.examine_settings(lambda: diagnostics.check_serving(settings))
    return await asyncio.to_thread(
        lambda: diagnostics.report(itertools.chain([first], doctor.examine(settings)))
    )


async def _serve(flags: list[str]) -> None:
    settings = _load("serve", flags)
    logs.configure(settings.log_level, settings.log_format)
    log.info("starting", release=model.server_version(), **_banner(settings))
    # What Pillow warns of in callers' images is answered to the caller where it matters.
    warnings.filterwarnings("ignore", module="PIL")
    # Image threads give the GIL up sooner than by default: the event loop waits for it beside them.
    sys.setswitchinterval(SWITCH_SECONDS)
    BUILD.labels("encoder", model.server_version()).set(1)
    if settings.trace_endpoint:
        spans.configure("encoder", model.server_version(), settings.trace_endpoint)
    servicer = EncoderServicer(settings)
    register = functools.partial(add_EncoderServiceServicer_to_server, servicer)
    server = Server(settings.server_options(), [Service(SERVICE_NAME, register, ROLES, large=LARGE)])
    await server.start()
    log.info("listening", address=server.address, admin=server.admin_address, health=server.health_address)
    termination = asyncio.create_task(wait_for_termination())
    lag = LagMeter(settings.lag_report_seconds)
    watchdog = Watchdog(settings.stuck_seconds)
    encoder = None
    try:
        encoder = await loading.load(settings, watchdog)
        watchdog.start()
        servicer.serve(encoder)
        measuring = [asyncio.create_task(lag.run()), asyncio.create_task(watchdog.watch_loop())]
        await server.set_serving(SERVICE_NAME, True)
        log.info("serving", address=server.address, threads=settings.threads)
    except ModelDrift as error:
        servicer.refuse(f"the model failed its self-test: {error}")
        log.error("self_test_failed", error=str(error))
    except (WeightsInvalid, DeviceMissing) as error:
        await server.stop()
        raise StartError(str(error)) from error
    gc.freeze()  # what is here by now stays, and need not be looked through at each collection
    await termination
    log.info("stopping")
    await server.stop()
    if encoder is not None:
        for task in measuring:
            task.cancel()
        lag.report()
        ended = await asyncio.to_thread(encoder.close)
    await asyncio.to_thread(spans.stop)
    if encoder is not None and not ended:
        log.warning("work_left", action="ending without it: its callers were answered")
        sys.stderr.flush()
        os._exit(0)  # else Python would wait for the threads, in a native call for as long as it takes


async def _version(flags: list[str]) -> None:
    if flags in (["--help"], ["-h"]):
        print(f"usage: python -m encoder_service version [--json]\n\n{ABOUT['version']}")
        return
    if flags == ["--json"]:
        print(json.dumps({"service": "encoder", "release": model.server_version()}))
        return
    if flags:
        raise StartError("version takes --json or nothing")
    print(model.server_version())


def _banner(settings: EncoderSettings) -> dict[str, object]:
    """What an operator reading the log wants to know first."""
    return {
        "address": settings.address,
        "provider": settings.provider,
        "precision": settings.precision,
        "threads": settings.threads,
        "max_images": settings.max_images,
        "max_image_bytes": settings.max_image_bytes,
        "max_pixels": settings.max_pixels,
    }


COMMANDS: dict[str, Callable[[list[str]], Coroutine[Any, Any, int | None]]] = {
    "serve": _serve,
    "check-config": _check_config,
    "doctor": _doctor,
    "version": _version,
}

if __name__ == "__main__":
    sys.exit(main())
