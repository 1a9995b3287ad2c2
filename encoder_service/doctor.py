"""The checks of `encoder_service doctor`, one for each thing that serving needs."""

import tempfile
from collections.abc import Iterator

from encoder_service import cores, loading
from encoder_service.domain.errors import DeviceMissing, ModelDrift, WeightsInvalid
from encoder_service.domain.faces import Alignment
from encoder_service.embedding import network
from encoder_service.embedding.dlib_weights import cache, files
from encoder_service.settings import EncoderSettings
from facerec.serving.observability.watchdog import Watchdog
from facerec.serving.server.diagnostics import CheckResult


def examine(settings: EncoderSettings) -> Iterator[CheckResult]:
    """Check the machine and the files, then load the models as `serve` does."""
    yield _examine_cores(settings)
    try:
        paths = files.find(settings.weights_dir, large_landmarks=settings.large_landmarks)
    except WeightsInvalid as error:
        yield CheckResult("weights", "fail", str(error))
        return
    yield CheckResult("weights", "ok", f"in {paths.resnet.parent}")
    yield examine_cache(settings, paths)
    yield from _examine_models(settings)


def _examine_cores(settings: EncoderSettings) -> CheckResult:
    usable = cores.count()
    text = f"{settings.threads} threads on {usable} cores"
    if settings.threads > usable:
        return CheckResult("cores", "warn", f"{text}: more threads than cores; lower ENCODER_THREADS")
    return CheckResult("cores", "ok", text)


def examine_cache(settings: EncoderSettings, paths: files.WeightFiles) -> CheckResult:
    """Check that the converted networks can be kept, or that all are there, as in an image."""
    folder = settings.model_cache_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if _is_complete(settings, paths):
            return CheckResult(
                "model cache", "ok", f"{folder}, which has both networks and cannot be written"
            )
        return CheckResult(
            "model cache", "warn", f"{folder}: {error.strerror}; the networks are converted at each start"
        )
    return CheckResult("model cache", "ok", str(folder))


def _is_complete(settings: EncoderSettings, paths: files.WeightFiles) -> bool:
    folder = settings.model_cache_dir
    resnet, mmod = files.read(paths.resnet), files.read(paths.mmod)
    return cache.holds(folder, resnet, network.variant(settings.precision)) and cache.holds(folder, mmod)


def _examine_models(settings: EncoderSettings) -> Iterator[CheckResult]:
    try:
        encoder = loading.build(settings, Watchdog(0))
    except (WeightsInvalid, DeviceMissing) as error:
        yield CheckResult("models", "fail", str(error))
        return
    except ModelDrift as error:
        yield CheckResult("self-test", "fail", str(error))
        return
    model = encoder.model
    encoder.close()
    yield CheckResult("models", "ok", f"{model.space(Alignment.SMALL)} in {settings.precision}")
    yield CheckResult("self-test", "ok", "the golden chip's vector is within the accepted distance of dlib's")
    reason = model.fallback_reason
    yield CheckResult("provider", "warn" if reason else "ok", f"{model.provider}{reason and ': '}{reason}")
