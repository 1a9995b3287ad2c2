"""The encoder's metrics, beside the request metrics of every service."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from prometheus_client import Counter, Gauge, Histogram

from facerec.serving.observability.call_metrics import SECONDS

Item = TypeVar("Item")
Result = TypeVar("Result")

STAGE_SECONDS = Histogram(
    "facerec_encoder_stage_seconds",
    "Time of an image in a stage: queue (waiting for a thread), scan (decoding, detecting, aligning), "
    "embed (the network, its queue included).",
    ("stage",),
    buckets=SECONDS,
)
QUEUE_SECONDS = STAGE_SECONDS.labels("queue")
SCAN_SECONDS = STAGE_SECONDS.labels("scan")
EMBED_SECONDS = STAGE_SECONDS.labels("embed")

IMAGES = Gauge("facerec_encoder_images_in_flight", "Images admitted and not yet answered.")
FACES = Counter("facerec_encoder_faces", "Faces encoded.")
REFUSED = Counter("facerec_encoder_overloaded", "Images refused because too many were in flight.")
QUEUED = Gauge("facerec_encoder_queued_items", "Items that wait for a network.", ("network",))
BATCH_ITEMS = Histogram(
    "facerec_encoder_batch_items",
    "Items per batch.",
    ("network",),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)
BATCH_SECONDS = Histogram(
    "facerec_encoder_batch_seconds", "Time of a network for a batch.", ("network",), buckets=SECONDS
)
FALLBACK = Gauge(
    "facerec_encoder_provider_fallback",
    "1 while provider=auto runs the networks on the CPU although ONNX Runtime is the one for GPUs.",
)
MODEL = Gauge(
    "facerec_encoder_model_info", "1, with the model that is served.", ("space", "provider", "precision")
)


def measured(
    network: str, run: Callable[[Sequence[Item]], Sequence[Result]]
) -> Callable[[Sequence[Item]], Sequence[Result]]:
    """Wrap `run` so that the size and time of each batch are observed."""
    items, seconds = BATCH_ITEMS.labels(network), BATCH_SECONDS.labels(network)

    def observe(batch: Sequence[Item]) -> Sequence[Result]:
        items.observe(len(batch))
        began = time.perf_counter()
        try:
            return run(batch)
        finally:
            seconds.observe(time.perf_counter() - began)

    return observe
