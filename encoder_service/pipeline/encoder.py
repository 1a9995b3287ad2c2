"""The pipeline of an image: admit, plan, scan on a thread for short or long work, embed in a batch."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from encoder_service import metrics
from encoder_service.decoding.pixels import Pixels
from encoder_service.detection.mmod.decoding import Scores
from encoder_service.detection.mmod.pyramid import Pyramid
from encoder_service.domain.errors import Overloaded
from encoder_service.domain.faces import Alignment, EncodeOptions, Encoding, Face, FacesOfImage
from encoder_service.embedding.batcher import Batcher
from encoder_service.pipeline.cost import SHORT_PROBES
from encoder_service.pipeline.in_flight_limit import FairInFlightLimit
from encoder_service.pipeline.model import Model
from encoder_service.pipeline.scanner import Scan, Scanner
from encoder_service.pipeline.thread_pool import FairThreadPool
from facerec.serving.middleware import call
from facerec.serving.observability.watchdog import Watchdog

Vector = npt.NDArray[np.float32]
EmbeddingBatcher = Batcher[Pixels, Vector]
DetectionBatcher = Batcher[Pyramid, Scores]
Result = TypeVar("Result")

_SECONDS_SMOOTHING: Final = 0.1

_CLOSE_SECONDS: Final = 0.5
"""At a shutdown, how long each thread pool and each batcher may take to finish its work."""


@dataclasses.dataclass(frozen=True)
class Load:
    """The images that were admitted and are not answered, and what waits for the networks."""

    images_in_flight: int
    waiting_faces: int
    waiting_detections: int


class Encoder:
    """Encodes images with one network; at most `max_images` are in flight, shared fairly among callers.

    Short and long work have `threads` threads each. One more thread reads headers, which tell short work from
    long. Coroutines belong to one event loop, which does no work on images itself.
    """

    def __init__(
        self,
        *,
        model: Model,
        defaults: EncodeOptions,
        scanner: Scanner,
        embedding_batcher: EmbeddingBatcher,
        detection_batchers: Sequence[DetectionBatcher],
        threads: int,
        max_images: int,
        watchdog: Watchdog,
    ) -> None:
        self.model: Final = model
        self.defaults: Final = defaults
        self._scanner = scanner
        self._embedding_batcher = embedding_batcher
        self._detection_batchers = detection_batchers
        self._headers = FairThreadPool("header", 1, ahead=1)
        self._short = FairThreadPool("image", threads, ahead=threads)
        self._long = FairThreadPool("long-image", threads)
        self._thread_count = threads
        self._watchdog = watchdog
        self._shares = FairInFlightLimit(max_images)
        self._image_seconds = 0.1

    @property
    def alignments(self) -> tuple[Alignment, ...]:
        """The alignments offered, the default first."""
        return self._scanner.alignments

    def load(self) -> Load:
        """What is in flight and waits now."""
        return Load(
            self._shares.in_flight,
            self._embedding_batcher.waiting,
            sum(batcher.waiting for batcher in self._detection_batchers),
        )

    def warm_up(self) -> None:
        """Start every thread and load its detector, so that no first image waits for it."""
        all_started = threading.Barrier(2 * self._thread_count)

        def warm_thread() -> None:
            self._scanner.warm_up()
            all_started.wait(timeout=60)

        pools = (self._short, self._long)
        for started in [
            pool.threads.submit(warm_thread) for pool in pools for _ in range(self._thread_count)
        ]:
            started.result()

    async def encode(self, image: bytes, options: EncodeOptions) -> FacesOfImage:
        """Encode the faces of an image, largest first, or in the order of `options.boxes`.

        Raises ImageError, OptionInvalid, Overloaded, ModelUnavailable, and RateLimited: the call is charged
        for what the image costs before it is decoded, and for the faces found before they are encoded.
        """
        async with self._admitted():
            scan = await self._scan(image, options)
            with metrics.EMBED_SECONDS.time():
                vectors = await self._embed(scan.chips)
        metrics.FACES.inc(len(vectors))
        space, fingerprint = self.model.space(options.alignment), self.model.fingerprint(options)
        return _to_faces(scan, [Encoding(vector, space, fingerprint) for vector in vectors])

    async def detect(self, image: bytes, options: EncodeOptions) -> FacesOfImage:
        """Find the faces of an image, largest first, without encoding them. Raises as `encode` does."""
        async with self._admitted():
            scan = await self._scan(image, options)
        return _to_faces(scan, [None] * len(scan.detections))

    def close(self) -> bool:
        """Stop, and return whether all work has ended. Call it when no request can come and no caller waits.

        A native call cannot be interrupted: where one still runs, Python waits for its thread at exit.
        """
        closed = [batcher.close(_CLOSE_SECONDS) for batcher in self._detection_batchers]
        closed.append(self._embedding_batcher.close(_CLOSE_SECONDS))
        ended = [pool.close(_CLOSE_SECONDS) for pool in (self._headers, self._short, self._long)]
        return all(closed) and all(ended)

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        caller = call.share_key(), call.on_behalf_of()
        if not self._shares.has_room(*caller):
            metrics.REFUSED.inc()
            images = self._shares.count(*caller)
            raise Overloaded(
                f"too many images: {self._shares.in_flight} are in flight, {images} of them this caller's; "
                "retry later",
                retry_after_seconds=max(1, images) * self._image_seconds / self._thread_count,
            )
        self._shares.acquire(*caller)
        metrics.IMAGES.inc()
        try:
            yield
        finally:
            self._shares.release(*caller)
            metrics.IMAGES.dec()

    async def _scan(self, image: bytes, options: EncodeOptions) -> Scan:
        """Plan, charge the caller, and scan on a thread for short or long work, as planned."""
        plan = await self._run(self._headers, lambda: self._scanner.plan(image, options))
        probes = plan.probes(len(options.boxes))
        await call.charge_message(probes)

        queued = time.monotonic()

        def timed() -> Scan:
            begin = time.monotonic()
            metrics.QUEUE_SECONDS.observe(begin - queued)
            try:
                with metrics.SCAN_SECONDS.time():
                    return self._scanner.scan(image, options, plan)
            finally:
                self._image_seconds += _SECONDS_SMOOTHING * (time.monotonic() - begin - self._image_seconds)

        pool = self._short if probes <= SHORT_PROBES else self._long
        scan = await self._run(pool, timed)
        await call.charge_message(plan.probes(len(scan.detections)), probes)
        return scan

    async def _run(self, pool: FairThreadPool, work: Callable[[], Result]) -> Result:
        def watched() -> Result:
            with self._watchdog.watching("image"):
                return work()

        return await pool.run(call.share_key(), watched, on_behalf_of=call.on_behalf_of())

    async def _embed(self, chips: Sequence[Pixels]) -> list[Vector]:
        """Embed at most one batch at a time, so that one picture of a crowd can't fill the queue."""
        vectors: list[Vector] = []
        max_batch = self._embedding_batcher.max_batch
        for begin in range(0, len(chips), max_batch):
            futures = self._embedding_batcher.submit(chips[begin : begin + max_batch])
            vectors += await asyncio.gather(*map(asyncio.wrap_future, futures))
        return vectors


def _to_faces(scan: Scan, encodings: Sequence[Encoding | None]) -> FacesOfImage:
    faces = map(Face, scan.detections, scan.landmarks, scan.qualities, encodings)
    return FacesOfImage(tuple(faces), scan.width, scan.height)
