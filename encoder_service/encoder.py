"""One image's way: admit, decode, detect, align, embed."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from encoder_service import images
from encoder_service.alignment import Aligner
from encoder_service.batcher import Batcher
from encoder_service.detection import HogDetector
from encoder_service.errors import OptionInvalid, Overloaded
from encoder_service.faces import Detection, EncodeOptions, Encoding, Face, FacesOfImage, Landmarks
from encoder_service.images import ImageLimits, Pixels
from encoder_service.model import Model

Vector = npt.NDArray[np.float32]
Networks = Batcher[Pixels, Vector]
Result = TypeVar("Result")

_UPSAMPLED_SHARE: Final = 4
"""The detector sees at most this many times `max_pixels`: an image of that size, doubled once."""

_IMAGES_PER_THREAD: Final = 2
"""One at work and one next, so that no thread waits for the event loop."""

_SECONDS_SMOOTHING: Final = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class _Aligned:
    """What the threads make of an image; no chips where no encoding was asked for."""

    detections: Sequence[Detection]
    landmarks: Sequence[Landmarks]
    chips: Sequence[Pixels]
    width: int
    height: int


class Encoder:
    """Encodes images on `threads` threads and one network; at most `max_images` are under way.

    Coroutines belong to one event loop, on which nothing of an image is handled.
    """

    def __init__(
        self,
        *,
        model: Model,
        limits: ImageLimits,
        detector: HogDetector,
        aligner: Aligner,
        network: Networks,
        threads: int,
        max_images: int,
    ) -> None:
        self.model: Final = model
        self._limits = limits
        self._detector = detector
        self._aligner = aligner
        self._network = network
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="image")
        self._thread_count = threads
        self._turns = asyncio.Semaphore(threads * _IMAGES_PER_THREAD)
        self._max_images = max_images
        self._images = 0
        self._image_seconds = 0.1

    def warm_up(self) -> None:
        """Start every thread and load its detector, so that no first image waits for that."""
        everyone = threading.Barrier(self._thread_count)

        def load_detector() -> None:
            self._detector.warm_up()
            everyone.wait(timeout=60)

        for started in [self._threads.submit(load_detector) for _ in range(self._thread_count)]:
            started.result()

    async def encode(self, image: bytes, options: EncodeOptions) -> FacesOfImage:
        """Encode the faces of an image, largest first, or in the order of `options.boxes`.

        Raises ImageError, OptionInvalid, Overloaded, ModelUnavailable.
        """
        async with self._admitted():
            aligned = await self._in_thread(lambda: self._align(image, options, cut_chips=True))
            vectors = await self._embed(aligned.chips)
        space = self.model.space(options.alignment)
        encodings = [Encoding(vector, space, self.model.fingerprint) for vector in vectors]
        return _to_faces(aligned, encodings)

    async def detect(self, image: bytes, options: EncodeOptions) -> FacesOfImage:
        """Find the faces of an image, largest first, without encoding them. Raises as `encode` does."""
        async with self._admitted():
            aligned = await self._in_thread(lambda: self._align(image, options, cut_chips=False))
        return _to_faces(aligned, [None] * len(aligned.detections))

    def close(self) -> None:
        """Finish what is under way. Called when no request can come any more."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._network.close()

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        if self._images >= self._max_images:
            raise Overloaded(
                f"{self._images} images are under way and the server takes no more at once",
                retry_after_seconds=self._images * self._image_seconds / self._thread_count,
            )
        self._images += 1
        try:
            yield
        finally:
            self._images -= 1

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        """Run on an image thread, in the order of arrival.

        Work waits here and not in the pool, which would keep an image whose caller went away.
        """
        loop = asyncio.get_running_loop()

        def timed() -> Result:
            begin = time.monotonic()
            try:
                return work()
            finally:
                self._image_seconds += _SECONDS_SMOOTHING * (time.monotonic() - begin - self._image_seconds)

        await self._turns.acquire()
        future = self._threads.submit(timed)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._turns.release))
        return await asyncio.wrap_future(future)

    def _align(self, image: bytes, options: EncodeOptions, *, cut_chips: bool) -> _Aligned:
        pixels = images.decode(image, self._limits)
        height, width = pixels.shape[:2]
        detections = self._find(pixels, options)
        landmarks, chips = [], []
        for detection in detections:
            if cut_chips:
                points, chip = self._aligner.cut(pixels, detection.box, options.alignment)
                chips.append(chip)
            else:
                points = self._aligner.place(pixels, detection.box, options.alignment)
            landmarks.append(points)
        return _Aligned(detections, landmarks, chips, width, height)

    def _find(self, pixels: Pixels, options: EncodeOptions) -> list[Detection]:
        height, width = pixels.shape[:2]
        for index, box in enumerate(options.boxes):
            if not box.overlaps(width, height):
                message = f"the box lies outside the image of {width} x {height} pixels"
                raise OptionInvalid(message, field=f"face_boxes[{index}]")
        if options.boxes:
            return _choose([Detection(box, score=None) for box in options.boxes], options)
        if width * height * 4**options.upsample > self._limits.max_pixels * _UPSAMPLED_SHARE:
            message = f"an image of {width} x {height} pixels is too large to be upsampled that often"
            raise OptionInvalid(message, field="options.upsample")
        return _choose(self._detector.detect(pixels, upsample=options.upsample), options)

    async def _embed(self, chips: Sequence[Pixels]) -> list[Vector]:
        """Embed in portions of a batch, so that a picture of a crowd can't fill the queue alone."""
        vectors: list[Vector] = []
        for begin in range(0, len(chips), self._network.max_batch):
            futures = self._network.submit(chips[begin : begin + self._network.max_batch])
            vectors += await asyncio.gather(*map(asyncio.wrap_future, futures))
        return vectors


def _choose(found: Sequence[Detection], options: EncodeOptions) -> list[Detection]:
    """Leave out small faces and keep the largest `max_faces`, in the order given."""
    kept = [face for face in found if min(face.box.width, face.box.height) >= options.min_face_pixels]
    by_area = sorted(range(len(kept)), key=lambda index: kept[index].box.area, reverse=True)
    return [kept[index] for index in sorted(by_area[: options.max_faces or None])]


def _to_faces(aligned: _Aligned, encodings: Sequence[Encoding | None]) -> FacesOfImage:
    faces = map(Face, aligned.detections, aligned.landmarks, encodings)
    return FacesOfImage(tuple(faces), aligned.width, aligned.height)
