"""The layer that reads a call's message, and keeps the messages of all calls within a budget of bytes."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import grpc.aio
from google.protobuf.message import DecodeError

from facerec.errors import FacerecError, Reason
from facerec.serving.layers import Context, Does, Method

SLOW_SECONDS = 0.25
RETRY_SECONDS = 1.0


class Intake:
    """Reads requests that do not stream. A message counts from when it is there until its call has ended.

    How large one is that is still coming nobody knows, so that few are read at a time: as many of the largest
    as there is room for. One that is not there after a moment counts as the largest, and the next is read.
    Where there is no room for a message its call is refused; and so is one that takes longer than
    `most_seconds` to come, whatever its caller's deadline.
    Raises FacerecError: OVERLOADED, DEADLINE_EXCEEDED, OPTION_INVALID.
    """

    def __init__(self, *, room_bytes: int, largest_bytes: int, most_seconds: float) -> None:
        self._room = _Room(room_bytes)
        self._turns = asyncio.Semaphore(max(2, room_bytes // largest_bytes))
        self._collect_bytes = room_bytes // 4
        self._failed_bytes = 0
        self._largest_bytes = largest_bytes
        self._most_seconds = most_seconds

    def __call__(self, method: Method, does: Does) -> Does:
        """The same with its message read."""
        if method.request_streaming:
            return does
        parse, room = method.parse, self._room

        async def handle(_: Any, context: Context) -> Any:
            raw = await self._receive(context)
            size = len(raw)
            room.take(size)
            try:
                request = _parsed(raw, parse)
                answer = does(request, context)
                # What is made of them is enough to keep, and they are large.
                del raw, request
                return await answer
            except BaseException:
                self._fail(size)
                raise
            finally:
                room.give(size)

        return handle

    def _fail(self, size: int) -> None:
        """An error and its frames may hold each other, and a request, until they are collected."""
        self._failed_bytes += size
        if self._failed_bytes > self._collect_bytes:
            self._failed_bytes = 0
            asyncio.get_running_loop().call_soon(gc.collect)

    async def _receive(self, context: Context) -> bytes:
        task = asyncio.current_task()
        assert task is not None
        await self._turns.acquire()
        coming = _Coming(self._turns, self._room, self._largest_bytes, self._most_seconds, task)
        timer = task.get_loop().call_later(SLOW_SECONDS, coming.count)
        try:
            raw = await context.read()
        except asyncio.CancelledError:
            if coming.refusal is None:
                raise
            task.uncancel()
            raise coming.refusal from None
        finally:
            timer.cancel()
            coming.end()
        if raw is grpc.aio.EOF:
            raise FacerecError("the call brought no message", reason=Reason.OPTION_INVALID)
        return raw  # type: ignore[no-any-return]


class _Room:
    """So many bytes."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> None:
        """Raises FacerecError OVERLOADED where they are not left."""
        if size > self._left:
            raise FacerecError(
                "more is being sent than there is room for; try again in a moment",
                reason=Reason.OVERLOADED,
                retry_after_seconds=RETRY_SECONDS,
            )
        self._left -= size

    def give(self, size: int) -> None:
        """Give them back."""
        self._left += size


class _Coming:
    """A message that is still coming, in its turn until it turns out to be slow."""

    __slots__ = (
        "_counted",
        "_largest_bytes",
        "_late",
        "_most_seconds",
        "_room",
        "_task",
        "_turns",
        "refusal",
    )

    def __init__(
        self,
        turns: asyncio.Semaphore,
        room: _Room,
        largest_bytes: int,
        most_seconds: float,
        task: "asyncio.Task[Any]",
    ) -> None:
        self._turns = turns
        self._room = room
        self._largest_bytes = largest_bytes
        self._most_seconds = most_seconds
        self._task = task
        self._counted = 0
        self._late: asyncio.TimerHandle | None = None
        self.refusal: FacerecError | None = None

    def count(self) -> None:
        """Count it as the largest, or refuse it."""
        try:
            self._room.take(self._largest_bytes)
        except FacerecError as error:
            self._refuse(error)
            return
        self._counted = self._largest_bytes
        self._turns.release()
        late = FacerecError(
            f"the message took longer than {self._most_seconds:g} s to arrive",
            reason=Reason.DEADLINE_EXCEEDED,
        )
        self._late = self._task.get_loop().call_later(self._most_seconds, self._refuse, late)

    def _refuse(self, error: FacerecError) -> None:
        self.refusal = error
        self._task.cancel()

    def end(self) -> None:
        """It is there, or never will be."""
        if self._late is None:
            self._turns.release()
        else:
            self._late.cancel()
        self._room.give(self._counted)


def _parsed(raw: bytes, parse: Callable[[bytes], Any]) -> Any:
    try:
        return parse(raw)
    except DecodeError:
        raise FacerecError(
            "the request is not a message of this type", reason=Reason.OPTION_INVALID
        ) from None
