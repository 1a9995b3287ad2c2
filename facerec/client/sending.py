"""Request streams: requests come from the caller's iterator, which may raise.

gRPC then ends the call, but does not propagate the iterator's exception; the classes here do.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Generic, Protocol, TypeVar

import grpc

from facerec.client.failures import from_rpc_error

M = TypeVar("M")

_SENDING_FAILED = "Internal error from Core"
"""gRPC's own details, which replace those of a service's status that arrives while a request is sent."""


class _Cancellable(Protocol):
    def cancel(self) -> Any: ...


class _Watched(_Cancellable, Protocol):
    def add_done_callback(self, callback: Callable[[Any], None]) -> None: ...


C = TypeVar("C", bound=_Cancellable)
W = TypeVar("W", bound=_Watched)


class Requests(Generic[M]):
    """The requests of a blocking call. gRPC iterates over them on its own thread."""

    def __init__(self, requests: Iterator[M]) -> None:
        self._requests = requests
        self._error: BaseException | None = None
        self._call: _Cancellable | None = None
        self._started = threading.Event()

    def __iter__(self) -> Iterator[M]:
        return self

    def __next__(self) -> M:
        try:
            return next(self._requests)
        except StopIteration:
            raise
        except BaseException as error:
            self._error = error
            self._started.wait()  # the first request is read before there is a call to cancel
            assert self._call is not None
            self._call.cancel()
            raise StopIteration from None

    @contextlib.contextmanager
    def attached_to(self, call: C, address: str) -> Iterator[C]:
        """Cancel the call when the block ends.

        Raises what the iterator raised, or else the call's FacerecError.
        """
        self._call = call
        self._started.set()
        try:
            yield call
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            if self._error is not None:
                raise self._error from None
            if isinstance(error, grpc.RpcError):
                raise from_rpc_error(error, address) from error
            raise
        finally:
            call.cancel()


class AsyncRequests(Generic[M]):
    """The requests of an asyncio call. gRPC iterates over them in its own task; an error ends the call."""

    def __init__(self, requests: AsyncIterator[M]) -> None:
        self._requests = requests
        self._error: BaseException | None = None
        self._task: asyncio.Task[Any] | None = None
        self._service_status: grpc.aio.AioRpcError | None = None

    def __aiter__(self) -> AsyncIterator[M]:
        return self

    async def __anext__(self) -> M:
        self._task = asyncio.current_task()
        try:
            return await anext(self._requests)
        except (StopAsyncIteration, asyncio.CancelledError):
            raise
        except BaseException as error:
            self._error = error
            raise

    @contextlib.contextmanager
    def attached_to(self, call: W, address: str) -> Iterator[W]:
        """Cancel the call when the block ends.

        Raises what the iterator raised, or else the call's FacerecError.
        """
        call.add_done_callback(self._keep_status)
        try:
            yield call
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._error is None or (task and task.cancelling()):
                raise
            raise self._error from None
        except grpc.RpcError as error:
            if self._error is not None:
                raise self._error from None
            if self._service_status is not None and error.details() == _SENDING_FAILED:
                error = self._service_status
            raise from_rpc_error(error, address) from error
        finally:
            call.cancel()
            if self._task:
                self._task.cancel()  # it may still wait for a request although the call has ended

    def _keep_status(self, call: grpc.aio.Call) -> None:
        """Keep the service's status, before that of the failed sending replaces it."""
        if self._service_status is None:
            code, details, trailing = map(_result, (call.code(), call.details(), call.trailing_metadata()))
            if details != _SENDING_FAILED:
                self._service_status = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details)


def _result(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that does not wait; None if it would."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    return None
