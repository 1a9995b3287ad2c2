"""Builds a ready encoder from the settings: device, networks, self-test, threads."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from encoder_service import metrics
from encoder_service.decoding.header import ImageLimits
from encoder_service.detection.detector import Detector, HogDetector
from encoder_service.detection.mmod import network as detection
from encoder_service.detection.mmod.decoding import Scores
from encoder_service.detection.mmod.detector import CNN_WEIGHT, PYRAMID_PIXELS, CnnDetector
from encoder_service.detection.mmod.network import DetectionNetwork
from encoder_service.detection.mmod.pyramid import Pyramid
from encoder_service.domain import cancellation
from encoder_service.domain.errors import DeviceMissing
from encoder_service.domain.faces import Alignment, DetectorName, EncodeOptions
from encoder_service.embedding import device, golden
from encoder_service.embedding import network as embedding
from encoder_service.embedding.batcher import Batcher
from encoder_service.embedding.device import Device, Provider
from encoder_service.embedding.dlib_weights import files
from encoder_service.embedding.network import EmbeddingNetwork
from encoder_service.pipeline import cost
from encoder_service.pipeline.alignment import Aligner
from encoder_service.pipeline.encoder import DetectionBatcher, Encoder
from encoder_service.pipeline.model import Model
from encoder_service.pipeline.quality import QualityAssessor
from encoder_service.pipeline.scanner import Scanner, SearchSizes
from encoder_service.settings import EncoderSettings
from facerec.serving.observability.watchdog import Watchdog

_CPU_BATCH: Final = 32
_GPU_BATCHES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)

log = structlog.get_logger("encoder_service")


async def load(settings: EncoderSettings, watchdog: Watchdog) -> Encoder:
    """Load every model; the watchdog watches images and batches.

    Raises WeightsInvalid, ModelDrift, DeviceMissing.
    """
    begin = time.monotonic()
    encoder = await asyncio.to_thread(build, settings, watchdog)
    await asyncio.to_thread(encoder.warm_up)
    metrics.MODEL.labels(
        encoder.model.space(Alignment.SMALL), encoder.model.provider, settings.precision
    ).set(1)
    metrics.FALLBACK.set(device.is_fallback(settings.provider, encoder.model.provider))
    log.info(
        "models_loaded",
        seconds=round(time.monotonic() - begin, 2),
        space=encoder.model.space(Alignment.SMALL),
        provider=encoder.model.provider,
        fallback_reason=encoder.model.fallback_reason,
        detector=encoder.defaults.detector,
    )
    return encoder


def build(settings: EncoderSettings, watchdog: Watchdog) -> Encoder:
    """Read the weights, open the networks and test them with the golden chip. Raises as `load` does."""
    paths = files.find(settings.weights_dir, large_landmarks=settings.large_landmarks)
    weights = files.read(paths.resnet)
    used, embedder, cnn = _open_networks(settings, paths, weights)
    golden.check(embedder, golden.expected(weights.name, paths.resnet), settings.precision)
    max_batch = _GPU_BATCHES[-1] if used.on_gpu else _CPU_BATCH
    # Every admitted image queues at most one batch at a time, so none is refused here.
    embedding_batcher = Batcher(
        metrics.measured("encoding", watchdog.watched("encoding_batch", embedder.embed_all)),
        max_batch=max_batch,
        capacity=max_batch * settings.max_images,
        name="network",
        threads=used.tuning.in_flight,
    )
    score = metrics.measured("detection", watchdog.watched("detection_batch", cnn.score))
    # On a CPU a large picture takes seconds, so small ones have a queue of their own. A GPU runs both in one.
    detection_batchers: list[DetectionBatcher] = [
        Batcher(
            score,
            max_batch=cnn.max_batch,
            capacity=max(2 * settings.threads, cnn.max_batch),
            name="detector",
            threads=used.tuning.in_flight,
        )
        for _ in range(1 if used.on_gpu else 2)
    ]
    metrics.QUEUED.labels("encoding").set_function(lambda: embedding_batcher.waiting)
    metrics.QUEUED.labels("detection").set_function(lambda: sum(each.waiting for each in detection_batchers))
    search_sizes = SearchSizes(settings.copy_side, settings.second_copy_side)
    scanner = Scanner(
        limits=ImageLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_pixels),
        detectors=_detectors(settings, cnn, detection_batchers, weight=1.0 if used.on_gpu else CNN_WEIGHT),
        aligner=Aligner(paths.landmarks_5, paths.landmarks_68),
        assessor=QualityAssessor(settings.thresholds()),
        search_sizes=search_sizes,
    )
    return Encoder(
        model=Model(weights.name, used.name, settings.precision, search_sizes, used.fallback_reason),
        defaults=EncodeOptions(
            full_resolution=settings.full_resolution, detector=_default_detector(settings, used)
        ),
        scanner=scanner,
        embedding_batcher=embedding_batcher,
        detection_batchers=detection_batchers,
        threads=settings.threads,
        max_images=settings.max_images,
        watchdog=watchdog,
    )


def _detectors(
    settings: EncoderSettings, cnn: DetectionNetwork, batchers: Sequence[DetectionBatcher], *, weight: float
) -> dict[DetectorName, Detector]:
    short_pixels = PYRAMID_PIXELS * cost.SHORT_PROBES * cost.PROBE_PIXELS / weight

    def score(pyramid: Pyramid) -> Scores:
        is_long = pyramid.tiling.width * pyramid.tiling.height > short_pixels
        (scores,) = batchers[-1 if is_long else 0].submit([pyramid])
        return cancellation.wait_for(scores)

    return {
        DetectorName.HOG: HogDetector(
            max_pixels=settings.max_hog_pixels, cache_folder=settings.model_cache_dir
        ),
        DetectorName.CNN: CnnDetector(cnn.details, score, max_pixels=settings.max_cnn_pixels, weight=weight),
    }


def _default_detector(settings: EncoderSettings, used: Device) -> DetectorName:
    if settings.detector == "auto":
        return DetectorName.CNN if used.on_gpu else DetectorName.HOG
    return DetectorName(settings.detector)


def _open_networks(
    settings: EncoderSettings, paths: files.WeightFiles, weights: files.Weights
) -> tuple[Device, EmbeddingNetwork, DetectionNetwork]:
    """Open both networks on the chosen device, or on the CPU where `auto` chose a GPU that does not work."""
    sides = settings.copy_side, settings.second_copy_side
    chosen = device.choose(
        settings.provider,
        threads=settings.threads,
        tf32=settings.precision is device.Precision.TF32,
        memory_bytes=settings.gpu_memory_bytes,
        batch_sizes=_GPU_BATCHES,
        image_sizes=[size for side in sides for size in ((side, side * 3 // 4), (side, side))],
    )
    try:
        return chosen, *_open(settings, paths, weights, chosen)
    except DeviceMissing as error:
        if settings.provider is Provider.CUDA:
            raise
        log.warning("gpu_start_failed", error=str(error), action="running on the CPU")
        cpu = device.cpu_instead(chosen, str(error))
        return cpu, *_open(settings, paths, weights, cpu)


def _open(
    settings: EncoderSettings, paths: files.WeightFiles, weights: files.Weights, chosen: Device
) -> tuple[EmbeddingNetwork, DetectionNetwork]:
    folder = settings.model_cache_dir
    embedder = embedding.load(weights, chosen, cache_folder=folder, precision=settings.precision)
    cnn = detection.load(files.read(paths.mmod), chosen, cache_folder=folder)
    embedder.warm_up()
    cnn.warm_up()
    return embedder, cnn
