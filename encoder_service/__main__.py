"""The encoder's composition root: settings -> models -> encoder -> servicer -> server.

`python -m encoder_service serve [flags]` serves until SIGTERM; `version` prints the release.
"""

import asyncio
import functools
import sys
import warnings

import structlog

from encoder_service import loading, model
from encoder_service.errors import DeviceMissing, ModelDrift, WeightsInvalid
from encoder_service.lag import LagMeter
from encoder_service.servicer import SERVICE_NAME, EncoderServicer
from encoder_service.settings import EncoderSettings
from facerec.encoder.v1.encoder_pb2_grpc import add_EncoderServiceServicer_to_server
from facerec.serving import logs, loop
from facerec.serving import settings as serving_settings
from facerec.serving.errors import StartError
from facerec.serving.server import Server, Service, wait_for_termination

SWITCH_SECONDS = 0.001

USAGE = "usage: python -m encoder_service serve [--help | flags] | version"

log = structlog.get_logger("encoder_service")


def main(argv: list[str]) -> int:
    """Run a command and return the process's exit code."""
    match argv:
        case ["serve", *flags]:
            return loop.run(_serve(flags))
        case ["version"]:
            print(model.server_version())
            return 0
        case ["-h" | "--help"]:
            print(USAGE)
            return 0
        case _:
            print(USAGE, file=sys.stderr)
            return 2


async def _serve(flags: list[str]) -> None:
    settings = serving_settings.load(EncoderSettings, flags, prog="python -m encoder_service serve")
    logs.configure(settings.log_level, settings.log_format)
    # What Pillow warns of in callers' images is answered to the caller where it matters.
    warnings.filterwarnings("ignore", module="PIL")
    # Image threads give the GIL up sooner than by default: the event loop waits for it beside them.
    sys.setswitchinterval(SWITCH_SECONDS)
    servicer = EncoderServicer(settings)
    register = functools.partial(add_EncoderServiceServicer_to_server, servicer)
    server = Server(settings.server_options(), [Service(SERVICE_NAME, register)])
    await server.start()
    log.info("listening", address=server.address)
    termination = asyncio.create_task(wait_for_termination())
    lag = LagMeter(settings.lag_report_seconds)
    encoder = None
    try:
        encoder = await loading.load(settings)
        servicer.serve(encoder)
        measuring = asyncio.create_task(lag.run())
        await server.set_serving(SERVICE_NAME, True)
        log.info("serving", address=server.address, threads=settings.threads)
    except ModelDrift as error:
        servicer.refuse(f"the model failed its self-test: {error}")
        log.error("self_test_failed", error=str(error))
    except (WeightsInvalid, DeviceMissing) as error:
        await server.stop()
        raise StartError(str(error)) from error
    await termination
    log.info("stopping")
    await server.stop()
    if encoder is not None:
        measuring.cancel()
        lag.report()
        await asyncio.to_thread(encoder.close)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
