"""Parses request messages, after their fields are counted."""

import asyncio
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from facerec.errors import FacerecError, Reason
from facerec.serving.fairness.queue_semaphore import FairQueueSemaphore
from facerec.serving.middleware.chain import Method
from facerec.serving.middleware.reading import fields

_DONE = object()


class Parser:
    """Parses the requests of a method after counting their fields, for one large message at a time.

    `counting` is the semaphore whose permit a message holds while its fields are counted in more than one
    slice. They are counted on the event loop: a thread would hold the interpreter lock for longer.
    """

    def __init__(self, method: Method, counting: FairQueueSemaphore) -> None:
        self._parse = method.parse
        owner = getattr(method.parse, "__self__", None)
        self._descriptor = getattr(owner, "DESCRIPTOR", None)
        self._max_count = fields.MAX_STREAM_COUNT if method.request_streaming else fields.MAX_COUNT
        self._counting = counting

    async def check(self, raw: bytes, owner: str) -> None:
        """Check that a caller's message does not have too many fields. Raises FacerecError OPTION_INVALID.

        A message whose fields are counted in one slice, such as an image, does not wait.
        """
        if len(raw) <= self._max_count:
            return
        slices = fields.check(raw, self._descriptor, self._max_count)
        if next(slices, _DONE) is not _DONE:  # the first slice was not the last
            await self._check_rest(slices, owner)

    async def _check_rest(self, slices: Iterator[None], owner: str) -> None:
        await self._counting.acquire(owner)
        try:
            for _ in slices:
                await asyncio.sleep(0)
        finally:
            self._counting.release(owner)

    def __call__(self, raw: bytes) -> Any:
        """Parse a message. Raises FacerecError OPTION_INVALID."""
        try:
            return self._parse(raw)
        except DecodeError:
            raise FacerecError(
                "the request is not a message of this type", reason=Reason.OPTION_INVALID
            ) from None
