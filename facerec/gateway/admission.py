"""Limits of requests before they are read: how many at once, how large, how slow, and from which pages."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Final

from facerec.errors import FacerecError, Reason
from facerec.gateway import failures
from facerec.gateway.exchange import Exchange
from facerec.serving.fairness.byte_budget import overloaded

_SHARE: Final = 3  # requests of one host for each free place

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class CallLimit:
    """A limit of requests in flight, which hosts share as FairInFlightLimit of the encoder has it."""

    def __init__(self, max_calls: int) -> None:
        self._free = max_calls
        self._held: Counter[str] = Counter()

    @contextlib.contextmanager
    def held(self, host: str) -> Iterator[bool]:
        """Hold a place for a request of a host; yields whether there was one, else nothing is held."""
        if self._held[host] >= _SHARE * self._free:
            yield False
            return
        self._free -= 1
        self._held[host] += 1
        try:
            yield True
        finally:
            self._free += 1
            self._held[host] -= 1
            if not self._held[host]:
                del self._held[host]


class BodyReader:
    """The `receive` of a request: reads its body within the limits, or raises Failed.

    `max_bytes` is None for a stream, whose messages are limited each. A body must be complete within
    `max_seconds`; a stream's next bytes must arrive within them, once they are asked for. If `refusal` is
    given, it is raised instead of reading.
    """

    def __init__(
        self,
        receive: Receive,
        exchange: Exchange,
        *,
        max_bytes: int | None,
        max_seconds: float,
        refusal: failures.Failed | None,
    ) -> None:
        self._receive = receive
        self._exchange = exchange
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._ends_at = asyncio.get_running_loop().time() + max_seconds
        self._refusal = refusal
        self._is_complete = False
        self._size = 0

    async def __call__(self) -> Event:
        """The next event of ASGI."""
        self.check()
        if self._is_complete:
            return await self._receive()  # that the client has hung up
        event = await self._receive_in_time()
        if event["type"] == "http.request":
            self._is_complete = not event.get("more_body", False)
            self._count(len(event.get("body", b"")))
        return event

    def check(self) -> None:
        """Raises Failed if the request was refused already."""
        if self._refusal is not None:
            raise self._refusal

    async def _receive_in_time(self) -> Event:
        loop = asyncio.get_running_loop()
        ends_at = self._ends_at if self._max_bytes is not None else loop.time() + self._max_seconds
        try:
            async with asyncio.timeout_at(ends_at):
                return await self._receive()
        except TimeoutError:
            self._refuse(
                f"the request's body took longer than {self._max_seconds:g} s", Reason.DEADLINE_EXCEEDED
            )
            raise  # not reached

    def _count(self, more_bytes: int) -> None:
        self._size += more_bytes
        if self._max_bytes is not None and self._size > self._max_bytes:
            self._refuse(too_large(self._max_bytes), Reason.OPTION_INVALID)
        reservation = self._exchange.reservation
        try:
            reservation.take(reservation.size + more_bytes)
        except FacerecError as error:
            self._refusal = failures.fail(error)
            self.check()

    def _refuse(self, message: str, reason: Reason) -> None:
        self._refusal = failures.fail(FacerecError(message, reason=reason))
        self.check()

    async def read_all(self) -> bytes:
        """The whole body. Raises Failed, and ConnectionResetError if the client hangs up."""
        self.check()
        chunks = []
        while not self._is_complete:
            event = await self()
            if event["type"] == "http.disconnect":
                raise ConnectionResetError
            chunks.append(event.get("body", b""))
        return b"".join(chunks)


def too_large(max_bytes: int) -> str:
    """The message for a body that is too large."""
    return f"the request's body has more than {max_bytes:,} bytes"


def refusal(current: Exchange, max_bytes: int | None) -> failures.Failed | None:
    """Why a request is refused before its body is read; None if it is not."""
    if not current.is_admitted:
        return failures.fail(overloaded("too many requests in flight"))
    declared = current.headers.get("content-length", "0")
    if max_bytes is not None and int(declared) > max_bytes:  # h11 takes digits only
        return failures.option_invalid(too_large(max_bytes))
    return None
