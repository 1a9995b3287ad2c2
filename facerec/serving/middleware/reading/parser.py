"""Makes messages of bytes, where they are worth it."""

import asyncio
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from facerec.errors import FacerecError, Reason
from facerec.serving.middleware.chain import Method
from facerec.serving.middleware.reading import fields
from facerec.serving.middleware.reading.permits import Permits


class Parser:
    """Parses the requests of a method, those of many fields after their caller's turn to have them counted.

    They are counted in slices on the event loop: a thread that counts would hold the interpreter for longer.
    """

    def __init__(self, method: Method, turns: Permits) -> None:
        self._parse = method.parse
        owner = getattr(method.parse, "__self__", None)
        self._descriptor = getattr(owner, "DESCRIPTOR", None)
        self._max_count = fields.MAX_STREAM_COUNT if method.request_streaming else fields.MAX_COUNT
        self._turns = turns

    async def check(self, raw: bytes, owner: str) -> None:
        """Refuse what has too many fields, for a caller. Raises FacerecError OPTION_INVALID.

        Where they are counted in one slice, as those of images are, this waits for nobody.
        """
        if len(raw) <= self._max_count:
            return
        slices = fields.check(raw, self._descriptor, self._max_count)
        for _ in slices:
            await self._check_rest(slices, owner)

    async def _check_rest(self, slices: Iterator[None], owner: str) -> None:
        await self._turns.acquire(owner)
        try:
            for _ in slices:
                await asyncio.sleep(0)
        finally:
            self._turns.release(owner)

    def __call__(self, raw: bytes) -> Any:
        """The message. Raises FacerecError OPTION_INVALID."""
        try:
            return self._parse(raw)
        except DecodeError:
            raise FacerecError(
                "the request is not a message of this type", reason=Reason.OPTION_INVALID
            ) from None
