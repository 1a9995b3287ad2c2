"""The middleware that reads request messages within a byte budget that all calls share."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

import grpc.aio

from facerec.errors import FacerecError, Reason
from facerec.serving.fairness.byte_budget import SMALL_BYTES, FairByteBudget, Reservation, overloaded
from facerec.serving.fairness.queue_semaphore import FairQueueSemaphore
from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context, Handler, Method, host
from facerec.serving.middleware.reading.admission import (
    MAX_WAITING_CALLS,
    Admission,
    CallAdmission,
    HealthAdmission,
)
from facerec.serving.middleware.reading.garbage_collector import GarbageCollector
from facerec.serving.middleware.reading.message import StreamMessage
from facerec.serving.middleware.reading.parser import Parser
from facerec.serving.middleware.reading.read_timer import MessageReadTimer
from facerec.serving.observability.memory import Memory

HEALTH_BYTES = 4096  # largest request of a health check: the full name of a service
LARGE_BYTES = 4 * 1024 * 1024
LATE_DIVISOR = 8  # a late message reserves the size of the largest message divided by this
STREAM_WAIT_SECONDS = 5.0
CANCEL_GRACE_SECONDS = 0.05  # after the last message, within which a cancellation becomes known


class RequestReader:
    """Reads request messages, unary and streamed, within `budget_bytes` for all calls.

    gRPC holds at most 64 KB of a message that is not being read; the length of one that is being read is
    unknown until it is complete. So a message being read reserves an eighth of `max_message_bytes`, the size
    of the largest: in a unary call once it is late, in a stream before it is read. `admission` bounds how
    many messages are read concurrently that are not late. A complete message holds its own length: until its
    call has ended, or in a stream until the next message is read, unless the handler keeps it
    (`call.keep_message`). Methods whose path, /SERVICE/METHOD, is not in `large` take messages of at most
    SMALL_BYTES. A message that is not complete after `max_seconds` ends its call.

    Raises FacerecError OVERLOADED, DEADLINE_EXCEEDED, OPTION_INVALID.
    """

    def __init__(
        self,
        *,
        budget_bytes: int,
        max_message_bytes: int,
        max_seconds: float,
        large: Collection[str],
    ) -> None:
        self._budget = FairByteBudget(budget_bytes, max_message_bytes)
        self._late_bytes = max(1, max_message_bytes // LATE_DIVISOR)
        self._memory = Memory()
        self._calls = CallAdmission(self._late_bytes, max_seconds, self._memory)
        self._health = HealthAdmission(max_seconds)
        self._counting = FairQueueSemaphore(1, 1, MAX_WAITING_CALLS)
        self._large = large
        self._max_message_bytes = max_message_bytes
        self._garbage_collector = GarbageCollector(budget_bytes // 4)

    def __call__(self, method: Method, handler: Handler) -> Handler:
        """Wrap a handler so that it gets parsed messages."""
        if method.request_streaming:
            return self._read_stream(method, handler)
        return self._read_health(method, handler) if method.is_health else self._read_unary(method, handler)

    def _read_unary(self, method: Method, handler: Handler) -> Handler:
        max_bytes, admission, budget = self._max_bytes(method), self._calls, self._budget
        parse = Parser(method, self._counting)

        async def handle(_: Any, context: Context) -> Any:
            reservation = Reservation(budget, call.share_key())
            size = 0
            try:
                raw = await _receive(admission, reservation, context)
                size = len(raw)
                self._check_size(size, max_bytes)
                reservation.take(size)
                await parse.check(raw, reservation.owner)
                answer = handler(parse(raw), context)
                del raw  # large, and not needed beside the parsed message
                return await answer
            except BaseException:
                self._garbage_collector.count_failed(size)
                raise
            finally:
                reservation.release()

        return handle

    def _read_health(self, method: Method, handler: Handler) -> Handler:
        admission, parse, none = self._health, Parser(method, self._counting), FairByteBudget(0)

        async def handle(_: Any, context: Context) -> Any:
            raw = await _receive(admission, Reservation(none, host(context)), context)
            if len(raw) > HEALTH_BYTES:
                raise FacerecError(
                    "the service name is longer than any service has", reason=Reason.OPTION_INVALID
                )
            return await handler(parse(raw), context)

        return handle

    def _read_stream(self, method: Method, handler: Handler) -> Handler:
        parse, max_bytes = Parser(method, self._counting), self._max_bytes(method)

        async def items(context: Context) -> AsyncIterator[Any]:
            owner = call.share_key()
            while True:
                reservation = Reservation(self._budget, owner)
                try:
                    await reservation.wait(self._late_bytes, STREAM_WAIT_SECONDS)
                    raw = await context.read()
                    if raw is grpc.aio.EOF:
                        break
                    self._check_size(len(raw), max_bytes)
                    await reservation.wait(len(raw), STREAM_WAIT_SECONDS)
                    await parse.check(raw, reservation.owner)
                    item = parse(raw)
                    del raw
                    message = StreamMessage(reservation.release)
                    call.set_message(message)
                    yield item
                    del item
                    message.end_unless_kept()
                except BaseException:
                    reservation.release()
                    raise
            reservation.release()
            await asyncio.sleep(CANCEL_GRACE_SECONDS)

        async def handle(_: Any, context: Context) -> Any:
            return await handler(items(context), context)

        return handle

    def _max_bytes(self, method: Method) -> int:
        return self._max_message_bytes if method.path in self._large else SMALL_BYTES

    def _check_size(self, size: int, max_bytes: int) -> None:
        if size > max_bytes:
            raise FacerecError(
                f"the request has {size:,} bytes and this method takes {max_bytes:,} at most",
                reason=Reason.OPTION_INVALID,
            )
        if size > LARGE_BYTES and self._memory.is_low():
            raise overloaded()


async def _receive(admission: Admission, reservation: Reservation, context: Context) -> bytes:
    """Read the message of a unary call, with a permit of `admission` until the message is late."""
    await admission.permits.acquire(reservation.owner)
    timer = MessageReadTimer(admission, reservation)
    try:
        raw = await context.read()
    except asyncio.CancelledError:
        timer.raise_refusal()
        raise
    finally:
        timer.end()
    if raw is grpc.aio.EOF:
        await asyncio.sleep(CANCEL_GRACE_SECONDS)
        raise FacerecError("the call has no request message", reason=Reason.OPTION_INVALID)
    return raw  # type: ignore[no-any-return]
