"""The layer that reads a call's message, and keeps the messages of all calls within a budget of bytes."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
from google.protobuf.message import DecodeError

from facerec.errors import FacerecError, Reason
from facerec.serving.layers import Context, Does, Method
from facerec.serving.memory import Memory

AT_ONCE = 8  # messages that are read and may be there any moment
LOOK_SECONDS = 0.01
SLOW_LOOKS = 2  # of which nothing came: one might be the event loop's own delay
SLOW_BYTES = 4 * 1024 * 1024  # what a message that does not come at once counts as,
SLOW_BYTES_A_SECOND = 4 * 1024 * 1024  # and for how much more with time
SMALL_BYTES = 64 * 1024
KEPT_BYTES = 64 * SMALL_BYTES
HEALTH_BYTES = 4096
GONE_SECONDS = 0.05  # until a call is known to be cancelled whose messages have ended
RETRY_SECONDS = 1.0


class Intake:
    """Reads the messages of requests, one or many. Each counts from when it is there until it is done with.

    Of a message that nobody reads gRPC holds 64 KB at the most. How large one is that is being read nobody
    knows until it is there: so few are read at a time, each for a moment. One that is not there by then is
    slow, counts as some megabytes, and as more with time, up to the largest. Where there is no room for
    it, or little memory left to the process, its call is refused; and so is one that takes longer than
    `most_seconds` to come, whatever its caller's deadline. Health, which strangers may ask for, has turns of
    its own, and room for one slow message: on a busy machine any may be.
    Raises FacerecError: OVERLOADED, DEADLINE_EXCEEDED, OPTION_INVALID.
    """

    def __init__(self, *, room_bytes: int, largest_bytes: int, most_seconds: float) -> None:
        self._calls = _Lane(_Room(room_bytes), largest_bytes, most_seconds)
        self._health = _Lane(_Room(largest_bytes), largest_bytes, most_seconds)
        self._collect_bytes = room_bytes // 4
        self._failed_bytes = 0

    def __call__(self, method: Method, does: Does) -> Does:
        """The same with its messages read."""
        if method.request_streaming:
            return self._stream(method, does)
        return self._health_check(method, does) if method.is_health else self._one(method, does)

    def _one(self, method: Method, does: Does) -> Does:
        parse, lane = method.parse, self._calls

        async def handle(_: Any, context: Context) -> Any:
            raw = await _receive(lane, context)
            size = len(raw)
            if size > SLOW_BYTES and lane.memory.tight():
                raise _no_room()
            lane.room.take(size)
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
                lane.room.give(size)

        return handle

    def _health_check(self, method: Method, does: Does) -> Does:
        parse, lane = method.parse, self._health

        async def handle(_: Any, context: Context) -> Any:
            raw = await _receive(lane, context)
            if len(raw) > HEALTH_BYTES:
                raise FacerecError("the name of no service is as long", reason=Reason.OPTION_INVALID)
            return await does(_parsed(raw, parse), context)

        return handle

    def _stream(self, method: Method, does: Does) -> Does:
        parse, room = method.parse, self._calls.room

        async def items(raws: AsyncIterator[bytes]) -> AsyncIterator[Any]:
            async for raw in raws:
                size = len(raw)
                await room.wait_for(size)
                try:
                    yield _parsed(raw, parse)
                finally:
                    room.give(size)
            await asyncio.sleep(GONE_SECONDS)

        async def handle(raws: AsyncIterator[bytes], context: Context) -> Any:
            return await does(items(raws), context)

        return handle

    def _fail(self, size: int) -> None:
        """An error and its frames may hold each other, and a request, until they are collected."""
        self._failed_bytes += size
        if self._failed_bytes > self._collect_bytes:
            self._failed_bytes = 0
            asyncio.get_running_loop().call_soon(gc.collect)


class _Lane:
    """Turns to be read in, and room for what is slow."""

    def __init__(self, room: "_Room", largest_bytes: int, most_seconds: float) -> None:
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.room = room
        self.largest_bytes = largest_bytes
        self.most_seconds = most_seconds
        self.memory = Memory()


async def _receive(lane: _Lane, context: Context) -> bytes:
    task = asyncio.current_task()
    assert task is not None
    await lane.turns.acquire()
    coming = _Coming(lane, task)
    try:
        raw = await context.read()
    except asyncio.CancelledError:
        if coming.refusal is None:
            raise
        task.uncancel()
        raise coming.refusal from None
    finally:
        coming.end()
    if raw is grpc.aio.EOF:
        await asyncio.sleep(GONE_SECONDS)
        raise FacerecError("the call brought no message", reason=Reason.OPTION_INVALID)
    return raw  # type: ignore[no-any-return]


class _Room:
    """So many bytes, and some more that are kept for small messages, whoever else floods."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._kept = KEPT_BYTES if size else 0

    def take(self, size: int) -> None:
        """Raises FacerecError OVERLOADED where they are not left."""
        if not self._has(size):
            raise _no_room()
        self._left -= size

    async def wait_for(self, size: int) -> None:
        """Take them when they are left: a stream can wait."""
        while not self._has(size):  # noqa: ASYNC110 - whoever gives some back need not know who waits
            await asyncio.sleep(LOOK_SECONDS)
        self._left -= size

    def _has(self, size: int) -> bool:
        return size <= self._left + (self._kept if size <= SMALL_BYTES else 0)

    def give(self, size: int) -> None:
        """Give them back."""
        self._left += size


class _Coming:
    """A message that is being read, in its turn until it turns out to be slow."""

    __slots__ = ("_began", "_counted", "_lane", "_looks", "_task", "_timer", "refusal")

    def __init__(self, lane: _Lane, task: "asyncio.Task[Any]") -> None:
        self._lane = lane
        self._task = task
        self._began = time.monotonic()
        self._looks = 0
        self._counted = 0
        self.refusal: FacerecError | None = None
        self._timer = task.get_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Count what it may have become, or refuse it."""
        self._looks += 1
        try:
            if self._looks == SLOW_LOOKS:
                self._lane.turns.release()
            if self._looks >= SLOW_LOOKS:
                self._count(time.monotonic() - self._began)
        except FacerecError as error:
            self.refusal = error
            self._task.cancel()
            return
        self._timer = self._task.get_loop().call_later(LOOK_SECONDS, self._look)

    def _count(self, seconds: float) -> None:
        lane = self._lane
        if seconds > lane.most_seconds:
            raise FacerecError(
                f"the message took longer than {lane.most_seconds:g} s to arrive",
                reason=Reason.DEADLINE_EXCEEDED,
            )
        if lane.memory.tight():
            raise _no_room()
        size = min(lane.largest_bytes, SLOW_BYTES + int(SLOW_BYTES_A_SECOND * seconds))
        if size > self._counted:
            lane.room.take(size - self._counted)
            self._counted = size

    def end(self) -> None:
        """It is there, or never will be."""
        self._timer.cancel()
        if self._looks < SLOW_LOOKS:
            self._lane.turns.release()
        self._lane.room.give(self._counted)


def _no_room() -> FacerecError:
    return FacerecError(
        "more is being sent than there is room for; try again in a moment",
        reason=Reason.OVERLOADED,
        retry_after_seconds=RETRY_SECONDS,
    )


def _parsed(raw: bytes, parse: Callable[[bytes], Any]) -> Any:
    try:
        return parse(raw)
    except DecodeError:
        raise FacerecError(
            "the request is not a message of this type", reason=Reason.OPTION_INVALID
        ) from None
