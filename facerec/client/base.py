"""The base of all clients: address, channel, deadline, metadata and `close`."""

import copy
import re
import threading
from types import TracebackType
from typing import Any, ClassVar, Self

import grpc
import grpc.aio
from google.protobuf.message import Message

from facerec.client.channel import (
    ANY_HEALTH,
    MAX_MESSAGE_BYTES,
    UNREADY_TOO,
    channel_options,
    check_address,
    target,
)
from facerec.client.failures import option_invalid
from facerec.client.loop_channel import LoopChannel
from facerec.client.security import PLAIN, Security
from facerec.errors import FacerecError, Reason

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _checked_seconds(timeout_seconds: float) -> float:
    if not isinstance(timeout_seconds, int | float) or not timeout_seconds > 0:
        raise option_invalid(
            "timeout_seconds", f"timeout_seconds is {timeout_seconds!r}: give seconds above 0"
        )
    return timeout_seconds


def _checked_id(text: str, field: str) -> str:
    if not _ID.fullmatch(text):
        raise option_invalid(field, f"{field} has up to 64 letters, digits, dots, dashes and underscores")
    return text


class BaseClient:
    """The common part of a blocking and an asyncio client.

    Attributes:
        address: The address given to the client.
        timeout_seconds: The deadline of each call, in seconds. Default: 30.
        is_closed: Whether the client was closed.
    """

    service: ClassVar[str]
    stub: ClassVar[Any]

    def __init__(self, address: str, *, timeout_seconds: float = 30.0, security: Security = PLAIN) -> None:
        check_address(address, self.service)
        self.address = address
        self.timeout_seconds = _checked_seconds(timeout_seconds)
        self._metadata = security.metadata(address)
        self._options = [*channel_options(self.service), *security.options()]
        self._closed = threading.Event()  # shared with the clients of `with_options`, as the channel is

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called, on this client or on one that shares its channel (`with_options`)."""
        return self._closed.is_set()

    def with_options(
        self,
        *,
        timeout_seconds: float | None = None,
        request_id: str = "",
        trace_parent: str = "",
        on_behalf_of: str = "",
    ) -> Self:
        """The same client, over the same channel, with other options for its calls.

        The client that this is called on keeps its options. Closing one of the two closes both.

        Args:
            timeout_seconds: The deadline of each call, in seconds above 0. None keeps this client's.
            request_id: An id for the logs: the services write it into each line about these calls. Up to 64
                letters, digits, dots, dashes and underscores; "" sends none. (The `request_id` of `enroll` is
                another one.)
            trace_parent: The W3C `traceparent` of the trace that the calls are part of; "" sends none.
            on_behalf_of: An id of the caller that this client acts for, in the characters of `request_id`. An
                encoder under load serves the ids that one client acts for in rotation. "" sends none.

        Returns:
            A client of the same class.

        Raises:
            FacerecError: OPTION_INVALID; `field` is the invalid argument.

        Example:
            >>> patient = matcher.with_options(timeout_seconds=60, request_id="door-7.20261128-0815")
            >>> patient.verify("ann", photo).match
            True
        """
        other = copy.copy(self)
        if timeout_seconds is not None:
            other.timeout_seconds = _checked_seconds(timeout_seconds)
        if request_id:
            other._metadata = (*other._metadata, ("x-request-id", _checked_id(request_id, "request_id")))
        if trace_parent:
            other._metadata = (*other._metadata, ("traceparent", trace_parent))
        if on_behalf_of:
            named = _checked_id(on_behalf_of, "on_behalf_of")
            other._metadata = (*other._metadata, ("x-on-behalf-of", named))
        return other

    def _check_open(self) -> None:
        """Raises RuntimeError where the client is closed."""
        if self.is_closed:
            raise RuntimeError(
                f"the {type(self).__name__} of {self.address} is closed: make a new one to call it again"
            )

    def _open_stub(self, *, any_health: bool = False) -> Any:
        """The stub of an open channel, which also leads to replicas that are not SERVING with `any_health`.

        Raises RuntimeError where the client is closed.
        """
        raise NotImplementedError

    def _send(self, method: str, request: Message, *, deadline: bool = True) -> Any:
        """Start an RPC. Raises RuntimeError where the client is closed, FacerecError IMAGE_TOO_LARGE."""
        size_bytes = request.ByteSize()
        if size_bytes > MAX_MESSAGE_BYTES:
            raise FacerecError(
                f"the request has {size_bytes:,} bytes and a message at most {MAX_MESSAGE_BYTES:,}; "
                "send fewer or smaller images",
                reason=Reason.IMAGE_TOO_LARGE,
            )
        timeout = self.timeout_seconds if deadline else None
        stub = self._open_stub(any_health=method in UNREADY_TOO)
        return getattr(stub, method)(request, timeout=timeout, metadata=self._metadata)


class Client(BaseClient):
    """A blocking client of one service. Threads may share it; it does not survive `os.fork`."""

    def __init__(self, address: str, *, timeout_seconds: float = 30.0, security: Security = PLAIN) -> None:
        super().__init__(address, timeout_seconds=timeout_seconds, security=security)
        credentials = security.credentials() if security.is_tls else None
        # A channel connects when it is first used, so the second costs nothing to those who do not need it.
        self._channels = [
            grpc.secure_channel(target(address), credentials, options)
            if credentials
            else grpc.insecure_channel(target(address), options)
            for options in (self._options, [*self._options, ANY_HEALTH])
        ]
        self._ready_stub, self._any_stub = map(self.stub, self._channels)

    def _open_stub(self, *, any_health: bool = False) -> Any:
        self._check_open()
        return self._any_stub if any_health else self._ready_stub

    def close(self) -> None:
        """Close the client's connections; calls in flight are cancelled.

        Closing twice does nothing more. Any other use of a closed client raises RuntimeError.
        """
        self._closed.set()
        for channel in self._channels:
            channel.close()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncClient(BaseClient):
    """An asyncio client of one service. It belongs to the event loop of its first call.

    It may be made before the loop runs.
    """

    def __init__(self, address: str, *, timeout_seconds: float = 30.0, security: Security = PLAIN) -> None:
        super().__init__(address, timeout_seconds=timeout_seconds, security=security)
        credentials = security.credentials() if security.is_tls else None
        self._channel = LoopChannel(address, credentials, self._options)
        self._any_channel = LoopChannel(address, credentials, [*self._options, ANY_HEALTH])

    def _open_stub(self, *, any_health: bool = False) -> Any:
        self._check_open()
        return (self._any_channel if any_health else self._channel).stub(self.stub)

    async def close(self) -> None:
        """Close the client's connections; calls in flight are cancelled.

        Closing twice does nothing more. Any other use of a closed client raises RuntimeError.
        """
        self._closed.set()
        await self._channel.close()
        await self._any_channel.close()

    async def __aenter__(self) -> Self:
        self._check_open()
        return self

    async def __aexit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
