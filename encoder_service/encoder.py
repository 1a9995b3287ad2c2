"""One image's way: admit, scan on a thread, embed in a batch."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from encoder_service import metrics
from encoder_service.batcher import Batcher
from encoder_service.errors import Overloaded
from encoder_service.faces import Alignment, EncodeOptions, Encoding, Face, FacesOfImage
from encoder_service.images import Pixels
from encoder_service.mmod.decoding import Scores
from encoder_service.mmod.pyramid import Pyramid
from encoder_service.model import Model
from encoder_service.scanner import Scan, Scanner
from facerec.serving.watchdog import Watchdog

Vector = npt.NDArray[np.float32]
Networks = Batcher[Pixels, Vector]
DetectionNetworks = Batcher[Pyramid, Scores]
Result = TypeVar("Result")

_IMAGES_PER_THREAD: Final = 2
"""One at work and one next, so that no thread waits for the event loop."""

_SECONDS_SMOOTHING: Final = 0.1

_CLOSE_SECONDS: Final = 0.5
"""What is nearly done at the end gets this long, images and either network."""


class Encoder:
    """Encodes images on `threads` threads and one network; at most `max_images` are under way.

    Coroutines belong to one event loop, on which nothing of an image is handled.
    """

    def __init__(
        self,
        *,
        model: Model,
        defaults: EncodeOptions,
        scanner: Scanner,
        network: Networks,
        detection_network: DetectionNetworks,
        threads: int,
        max_images: int,
        watchdog: Watchdog,
    ) -> None:
        self.model: Final = model
        self.defaults: Final = defaults
        self._scanner = scanner
        self._network = network
        self._detection_network = detection_network
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="image")
        self._thread_count = threads
        self._at_work: set[Future[Any]] = set()
        self._turns = asyncio.Semaphore(threads * _IMAGES_PER_THREAD)
        self._max_images = max_images
        self._watchdog = watchdog
        self._images = 0
        self._image_seconds = 0.1

    @property
    def alignments(self) -> tuple[Alignment, ...]:
        """Those that faces can be turned upright by, the default first."""
        return self._scanner.alignments

    def warm_up(self) -> None:
        """Start every thread and load its detector, so that no first image waits for that."""
        everyone = threading.Barrier(self._thread_count)

        def warm_thread() -> None:
            self._scanner.warm_up()
            everyone.wait(timeout=60)

        for started in [self._threads.submit(warm_thread) for _ in range(self._thread_count)]:
            started.result()

    async def encode(self, image: bytes, options: EncodeOptions) -> FacesOfImage:
        """Encode the faces of an image, largest first, or in the order of `options.boxes`.

        Raises ImageError, OptionInvalid, Overloaded, ModelUnavailable.
        """
        async with self._admitted():
            scan = await self._in_thread(lambda: self._scanner.scan(image, options))
            with metrics.EMBED_SECONDS.time():
                vectors = await self._embed(scan.chips)
        metrics.FACES.inc(len(vectors))
        space, fingerprint = self.model.space(options.alignment), self.model.fingerprint(options)
        return _to_faces(scan, [Encoding(vector, space, fingerprint) for vector in vectors])

    async def detect(self, image: bytes, options: EncodeOptions) -> FacesOfImage:
        """Find the faces of an image, largest first, without encoding them. Raises as `encode` does."""
        async with self._admitted():
            scan = await self._in_thread(lambda: self._scanner.scan(image, options))
        return _to_faces(scan, [None] * len(scan.detections))

    def close(self) -> bool:
        """End, and say whether all work has. Called when no request can come and no caller waits any more.

        A native call cannot be interrupted: where one goes on, Python waits for its thread at its own end.
        """
        self._threads.shutdown(wait=False, cancel_futures=True)
        closed = [network.close(_CLOSE_SECONDS) for network in (self._detection_network, self._network)]
        return all(closed) and not wait(list(self._at_work), _CLOSE_SECONDS).not_done

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        if self._images >= self._max_images:
            metrics.REFUSED.inc()
            raise Overloaded(
                f"{self._images} images are under way and the server takes no more at once",
                retry_after_seconds=self._images * self._image_seconds / self._thread_count,
            )
        self._images += 1
        metrics.IMAGES.inc()
        try:
            yield
        finally:
            self._images -= 1
            metrics.IMAGES.dec()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        """Run on an image thread, in the order of arrival.

        Work waits here and not in the pool, which would keep an image whose caller went away.
        """
        loop = asyncio.get_running_loop()

        def timed() -> Result:
            begin = time.monotonic()
            try:
                with self._watchdog.watching("image"), metrics.SCAN_SECONDS.time():
                    return work()
            finally:
                self._image_seconds += _SECONDS_SMOOTHING * (time.monotonic() - begin - self._image_seconds)

        with metrics.QUEUE_SECONDS.time():
            await self._turns.acquire()
        future = self._threads.submit(timed)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._turns.release))
        return await asyncio.wrap_future(future)

    async def _embed(self, chips: Sequence[Pixels]) -> list[Vector]:
        """Embed in portions of a batch, so that a picture of a crowd can't fill the queue alone."""
        vectors: list[Vector] = []
        for begin in range(0, len(chips), self._network.max_batch):
            futures = self._network.submit(chips[begin : begin + self._network.max_batch])
            vectors += await asyncio.gather(*map(asyncio.wrap_future, futures))
        return vectors


def _to_faces(scan: Scan, encodings: Sequence[Encoding | None]) -> FacesOfImage:
    faces = map(Face, scan.detections, scan.landmarks, scan.qualities, encodings)
    return FacesOfImage(tuple(faces), scan.width, scan.height)
