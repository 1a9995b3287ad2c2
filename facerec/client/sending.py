"""The requests of a call that sends many: they come from the caller's iterator, which may fail.

gRPC only ends the call then, and says of the iterator's exception nothing but that there was one.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, Protocol, TypeVar

import grpc

from facerec.client.failures import from_rpc_error

M = TypeVar("M")


class _Cancellable(Protocol):
    def cancel(self) -> Any: ...


C = TypeVar("C", bound=_Cancellable)


class Requests(Generic[M]):
    """Requests of a blocking call, which takes them on a thread of its own."""

    def __init__(self, requests: Iterator[M]) -> None:
        self._requests = requests
        self._error: BaseException | None = None
        self._call: _Cancellable | None = None
        self._begun = threading.Event()

    def __iter__(self) -> Iterator[M]:
        return self

    def __next__(self) -> M:
        try:
            return next(self._requests)
        except StopIteration:
            raise
        except BaseException as error:
            self._error = error
            self._begun.wait()  # the first request is asked for before there is a call to cancel
            assert self._call is not None
            self._call.cancel()
            raise StopIteration from None

    @contextlib.contextmanager
    def sent_by(self, call: C, address: str) -> Iterator[C]:
        """The call, ended with the block. Raises what the iterator raised, or the call's FacerecError."""
        self._call = call
        self._begun.set()
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
    """Requests of a call on the event loop, which takes them in a task of its own and ends when they fail."""

    def __init__(self, requests: AsyncIterator[M]) -> None:
        self._requests = requests
        self._error: BaseException | None = None
        self._task: asyncio.Task[Any] | None = None

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
    def sent_by(self, call: C, address: str) -> Iterator[C]:
        """The call, ended with the block. Raises what the iterator raised, or the call's FacerecError."""
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
            raise from_rpc_error(error, address) from error
        finally:
            call.cancel()
            if self._task:
                self._task.cancel()  # it may wait for a request of a call that has ended
