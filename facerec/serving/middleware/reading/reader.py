"""The middleware that reads a call's messages, within a budget of bytes for all calls together."""

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

import grpc.aio

from facerec.errors import FacerecError, Reason
from facerec.serving.middleware import call
from facerec.serving.middleware.chain import Context, Handler, Method, host
from facerec.serving.middleware.reading.admission import (
    MAX_WAITING_CALLS,
    Admission,
    CallAdmission,
    HealthAdmission,
)
from facerec.serving.middleware.reading.budget import SMALL_BYTES, ByteBudget, Lease, overloaded
from facerec.serving.middleware.reading.collector import Collector
from facerec.serving.middleware.reading.late import LateMessage
from facerec.serving.middleware.reading.message import Message
from facerec.serving.middleware.reading.parser import Parser
from facerec.serving.middleware.reading.permits import Permits
from facerec.serving.observability.memory import Memory

HEALTH_BYTES = 4096  # of a request, which is the full name of a service
LARGE_BYTES = 4 * 1024 * 1024
LATE_SHARE = 8
STREAM_WAIT_SECONDS = 5.0
CANCEL_GRACE_SECONDS = 0.05  # until a call is known to be cancelled whose messages have ended


class RequestReader:
    """Reads the messages of requests, one or many, within `budget_bytes`. Raises FacerecError: OVERLOADED,
    DEADLINE_EXCEEDED, OPTION_INVALID.

    Of a message that nobody reads gRPC holds 64 KB at the most; how long one is that is being read nobody
    knows until it is there. So each of them holds an eighth of `max_message_bytes`, the longest, in the
    budget: a call's one message as soon as it is late, a stream's before it is read. `admission` bounds how
    many are not late yet. A message holds its own length from when it is there until its call has ended, or
    for a stream's until the next is asked for, unless its handler keeps it longer (`call.keep_message`).
    Methods whose path, /SERVICE/METHOD, is not in `large` take messages up to SMALL_BYTES. A message that is
    not there after `max_seconds` ends its call.
    """

    def __init__(
        self,
        *,
        budget_bytes: int,
        max_message_bytes: int,
        max_seconds: float,
        large: Collection[str],
    ) -> None:
        self._budget = ByteBudget(budget_bytes, max_message_bytes)
        self._late_bytes = max(1, max_message_bytes // LATE_SHARE)
        self._memory = Memory()
        self._calls = CallAdmission(self._late_bytes, max_seconds, self._memory)
        self._health = HealthAdmission(max_seconds)
        self._counting = Permits(1, 1, MAX_WAITING_CALLS)
        self._large = large
        self._max_message_bytes = max_message_bytes
        self._collector = Collector(budget_bytes // 4)

    def __call__(self, method: Method, handler: Handler) -> Handler:
        """The same with its messages read."""
        if method.request_streaming:
            return self._stream(method, handler)
        return self._health_check(method, handler) if method.is_health else self._one(method, handler)

    def _one(self, method: Method, handler: Handler) -> Handler:
        max_bytes, admission, budget = self._max_bytes(method), self._calls, self._budget
        parse = Parser(method, self._counting)

        async def handle(_: Any, context: Context) -> Any:
            lease = Lease(budget, call.caller_key())
            size = 0
            try:
                raw = await _receive(admission, lease, context)
                size = len(raw)
                self._check_size(size, max_bytes)
                lease.take(size)
                await parse.check(raw, lease.owner)
                answer = handler(parse(raw), context)
                del raw  # what is made of it is enough to keep, and it is large
                return await answer
            except BaseException:
                self._collector.fail(size)
                raise
            finally:
                lease.end()

        return handle

    def _health_check(self, method: Method, handler: Handler) -> Handler:
        admission, parse, none = self._health, Parser(method, self._counting), ByteBudget(0)

        async def handle(_: Any, context: Context) -> Any:
            raw = await _receive(admission, Lease(none, host(context)), context)
            if len(raw) > HEALTH_BYTES:
                raise FacerecError(
                    "the service name is longer than any service has", reason=Reason.OPTION_INVALID
                )
            return await handler(parse(raw), context)

        return handle

    def _stream(self, method: Method, handler: Handler) -> Handler:
        parse, max_bytes = Parser(method, self._counting), self._max_bytes(method)

        async def items(context: Context) -> AsyncIterator[Any]:
            owner = call.caller_key()
            while True:
                lease = Lease(self._budget, owner)
                try:
                    await lease.wait(self._late_bytes, STREAM_WAIT_SECONDS)
                    raw = await context.read()
                    if raw is grpc.aio.EOF:
                        break
                    self._check_size(len(raw), max_bytes)
                    await lease.wait(len(raw), STREAM_WAIT_SECONDS)
                    await parse.check(raw, lease.owner)
                    item = parse(raw)
                    del raw
                    kept = Message(lease.end)
                    call.offer_message(kept)
                    yield item
                    del item
                    kept.end_unless_kept()
                except BaseException:
                    lease.end()
                    raise
            lease.end()
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
        if size > LARGE_BYTES and self._memory.tight():
            raise overloaded()


async def _receive(admission: Admission, lease: Lease, context: Context) -> bytes:
    """Read a call's one message, in its turn until it turns out to be late."""
    await admission.permits.acquire(lease.owner)
    late = LateMessage(admission, lease)
    try:
        raw = await context.read()
    except asyncio.CancelledError:
        late.raise_refusal()
        raise
    finally:
        late.end()
    if raw is grpc.aio.EOF:
        await asyncio.sleep(CANCEL_GRACE_SECONDS)
        raise FacerecError("the call has no request message", reason=Reason.OPTION_INVALID)
    return raw  # type: ignore[no-any-return]
