"""The encoder's composition root: settings -> models -> encoder -> servicer -> server.

`python -m encoder_service serve [flags]` serves until SIGTERM; `version` prints the release.
"""

import asyncio
import functools
import sys
import time
import warnings

import structlog

from encoder_service import embedding, golden, model
from encoder_service.alignment import Aligner
from encoder_service.batcher import Batcher
from encoder_service.detection import HogDetector
from encoder_service.dlib_weights import files
from encoder_service.encoder import Encoder
from encoder_service.errors import ModelDrift, WeightsInvalid
from encoder_service.faces import Alignment
from encoder_service.images import ImageLimits
from encoder_service.servicer import SERVICE_NAME, EncoderServicer
from encoder_service.settings import EncoderSettings
from facerec.encoder.v1.encoder_pb2_grpc import add_EncoderServiceServicer_to_server
from facerec.serving import logs, loop
from facerec.serving import settings as serving_settings
from facerec.serving.errors import StartError
from facerec.serving.server import Server, Service, wait_for_termination

MAX_BATCH = 32

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
    servicer = EncoderServicer(settings)
    register = functools.partial(add_EncoderServiceServicer_to_server, servicer)
    server = Server(settings.server_options(), [Service(SERVICE_NAME, register)])
    await server.start()
    log.info("listening", address=server.address)
    termination = asyncio.create_task(wait_for_termination())
    encoder = None
    try:
        encoder = await _load(settings)
        servicer.serve(encoder)
        await server.set_serving(SERVICE_NAME, True)
        log.info("serving", address=server.address, threads=settings.threads)
    except ModelDrift as error:
        servicer.refuse(f"the model failed its self-test: {error}")
        log.error("self_test_failed", error=str(error))
    except WeightsInvalid as error:
        await server.stop()
        raise StartError(str(error)) from error
    await termination
    log.info("stopping")
    await server.stop()
    if encoder is not None:
        await asyncio.to_thread(encoder.close)


async def _load(settings: EncoderSettings) -> Encoder:
    """Load every model. Raises WeightsInvalid, ModelDrift."""
    begin = time.monotonic()
    paths = files.find(settings.weights_dir)
    weights, aligner = await asyncio.gather(
        asyncio.to_thread(files.read, paths.resnet),
        asyncio.to_thread(Aligner, paths.landmarks_5, paths.landmarks_68),
    )
    network = await asyncio.to_thread(
        embedding.load, weights, cache_folder=settings.model_cache_dir, threads=settings.threads
    )
    expected = await asyncio.to_thread(golden.expected, weights.name, paths.resnet)
    await asyncio.to_thread(golden.check, network, expected)
    encoder = Encoder(
        model=model.describe(weights.name, network.provider),
        limits=ImageLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_pixels),
        detector=HogDetector(),
        aligner=aligner,
        # Every admitted image has at most one batch's portion in the queue, so none is refused there.
        network=Batcher(
            network.embed_all,
            max_batch=MAX_BATCH,
            capacity=MAX_BATCH * settings.max_images,
            name="network",
        ),
        threads=settings.threads,
        max_images=settings.max_images,
    )
    await asyncio.to_thread(encoder.warm_up)
    log.info(
        "models_loaded",
        seconds=round(time.monotonic() - begin, 2),
        space=encoder.model.space(Alignment.SMALL),
    )
    return encoder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
