"""Forwards the calls of the current request to the services."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any, Final

import grpc.aio
from connectrpc.errors import ConnectError

from facerec.client.sending import AsyncRequests
from facerec.errors import FacerecError, Reason
from facerec.gateway import exchange, failures
from facerec.gateway.messages import Request
from facerec.gateway.methods import Method
from facerec.gateway.services import Services
from facerec.serving.middleware import status

ENVELOPE_BYTES: Final = 5  # before each message of a stream


class Forwarder:
    """Calls a method as the current request asks: with its key, ids and deadline.

    A unary call without a deadline gets one of `max_call_seconds`. Every function raises Failed.
    """

    def __init__(self, services: Services, max_call_seconds: float) -> None:
        self._services = services
        self._max_call_seconds = max_call_seconds

    async def unary(self, method: Method, data: bytes, timeout_seconds: float | None) -> bytes:
        """Call a unary method with the bytes of a request; returns those of the answer."""
        with _failing(method):
            seconds = timeout_seconds or self._max_call_seconds
            return _held(await self._start(method, data, timeout_seconds=seconds))

    async def collect(
        self, method: Method, requests: AsyncIterator[Request], timeout_seconds: float | None
    ) -> bytes:
        """Call a method that takes a stream of requests; returns the bytes of its answer."""
        async with self._sending(method, requests, timeout_seconds) as started:
            return _held(await started)

    async def stream(
        self, method: Method, data: bytes, timeout_seconds: float | None
    ) -> AsyncGenerator[bytes, None]:
        """Call a method that answers a stream; yields the bytes of each answer."""
        with _failing(method):
            started = self._start(method, data, timeout_seconds=timeout_seconds)
            try:
                async for answer in started:
                    yield _held(answer)
            finally:
                started.cancel()

    async def converse(
        self, method: Method, requests: AsyncIterator[Request], timeout_seconds: float | None
    ) -> AsyncGenerator[bytes, None]:
        """Call a method with streams in both directions; yields the bytes of each answer."""
        async with self._sending(method, requests, timeout_seconds) as started:
            async for answer in started:
                yield _held(answer)

    @contextlib.asynccontextmanager
    async def _sending(
        self, method: Method, requests: AsyncIterator[Request], timeout_seconds: float | None
    ) -> AsyncIterator[Any]:
        """A call that a stream of requests is sent to until the block ends."""
        source = _Source(requests)
        sent = AsyncRequests(source)
        with _failing(method):
            started = self._start(method, sent, timeout_seconds=timeout_seconds)
            try:
                with sent.attached_to(started, method.service):
                    yield started
            finally:
                await source.stop()

    def _start(self, method: Method, request: Any, *, timeout_seconds: float | None) -> Any:
        current = exchange.current()
        if self._services.has_certificate and not current.headers.get("authorization"):
            raise failures.fail(
                FacerecError(
                    "no API key: send it as the header Authorization, Bearer KEY", reason=Reason.KEY_MISSING
                )
            )
        return self._services.method(method)(request, metadata=current.metadata(), timeout=timeout_seconds)


def _held(answer: bytes) -> bytes:
    """The answer, whose bytes count until it is sent. Raises FacerecError OVERLOADED."""
    exchange.current().answer_reservation.take(len(answer))
    return answer


class _Source:
    """The bytes of requests. Those that gRPC has sent no longer count as held."""

    def __init__(self, requests: AsyncIterator[Request]) -> None:
        self._requests = requests
        self._reservation = exchange.current().reservation
        self._sent_bytes = 0
        self._task: asyncio.Task[Any] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._task = asyncio.current_task()
        self._reservation.take(max(0, self._reservation.size - self._sent_bytes))
        request = await anext(self._requests)
        self._sent_bytes = request.body_bytes + ENVELOPE_BYTES
        return request.data

    async def stop(self) -> None:
        """Wait until gRPC reads no more, so that the requests can be closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


@contextlib.contextmanager
def _failing(method: Method) -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise failures.from_service(error, method.service) from None
    except FacerecError as error:
        if not isinstance(error.__cause__, grpc.aio.AioRpcError):
            raise failures.fail(error) from None
        raise failures.from_service(error.__cause__, method.service) from None
    except (ConnectError, ConnectionResetError):
        raise
    except Exception as error:
        raise failures.fail(status.to_internal_error(error, method.path)) from None
