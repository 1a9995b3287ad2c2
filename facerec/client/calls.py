"""One description of each RPC, asked blocking or on an event loop.

A call is a plain function from arguments to a `Call` (or a `Listing`, for pages): it builds the
request and says how the response is read. `ask` and `ask_async` turn it into a client's method of the
same arguments, so that both forms of a client come from one definition.
"""

import copy
import dataclasses
import functools
import inspect
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from facerec.client.channel import MAX_MESSAGE_BYTES, channel_options, check_address, target
from facerec.client.failures import from_rpc_error
from facerec.client.loop_channel import LoopChannel
from facerec.client.security import PLAIN, Security
from facerec.errors import FacerecError, Reason

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

P = ParamSpec("P")
A = TypeVar("A")


@dataclasses.dataclass(frozen=True)
class Call(Generic[A]):
    """One unary RPC: the method's name, its request, and how its response is read."""

    method: str
    request: Message
    read: Callable[[Any], A]


@dataclasses.dataclass(frozen=True)
class Listing(Generic[A]):
    """A paged RPC: the first page's request, the response's repeated field, how an item is read."""

    method: str
    request: Any
    field: str
    read: Callable[[Any], A]

    def page(self, token: str) -> Call[tuple[list[A], str]]:
        """The call for one page, answering its items and the next page's token."""
        request = copy.deepcopy(self.request)
        request.page_token = token
        return Call(self.method, request, self._read_page)

    def _read_page(self, response: Any) -> tuple[list[A], str]:
        return [self.read(item) for item in getattr(response, self.field)], response.next_page_token


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


class _Channel:
    """What both forms of a client are made of."""

    service: ClassVar[str]
    stub: ClassVar[Any]

    def __init__(self, address: str, *, timeout_seconds: float = 30.0, security: Security = PLAIN) -> None:
        check_address(address, self.service)
        self.address = address
        self.timeout_seconds = _checked_seconds(timeout_seconds)
        self._metadata = security.metadata(address)
        self._options = [*channel_options(self.service), *security.options()]

    @property
    def _stub(self) -> Any:
        raise NotImplementedError

    def with_options(
        self,
        *,
        timeout_seconds: float | None = None,
        request_id: str = "",
        trace_parent: str = "",
        on_behalf_of: str = "",
    ) -> Self:
        """The same client over the same channel, with another deadline for each call, in seconds.

        `request_id`, of up to 64 letters, digits, dots, dashes and underscores, is in every line that the
        services log of its calls; `trace_parent` is the W3C's `traceparent` of the trace they are part of.
        `on_behalf_of`, of the same form, is whom the calls are made for: an encoder serves those of a caller
        in turn. Raises FacerecError OPTION_INVALID, naming the argument.
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

    def _send(self, call: Call[Any]) -> Any:
        size_bytes = call.request.ByteSize()
        if size_bytes > MAX_MESSAGE_BYTES:
            raise FacerecError(
                f"the request has {size_bytes:,} bytes and a message at most {MAX_MESSAGE_BYTES:,}; "
                "send fewer or smaller images",
                reason=Reason.IMAGE_TOO_LARGE,
            )
        return getattr(self._stub, call.method)(
            call.request, timeout=self.timeout_seconds, metadata=self._metadata
        )


class Client(_Channel):
    """A blocking client of one service, safe to share between threads. Use it in a `with`, or `close`."""

    def __init__(self, address: str, *, timeout_seconds: float = 30.0, security: Security = PLAIN) -> None:
        super().__init__(address, timeout_seconds=timeout_seconds, security=security)
        self._channel = (
            grpc.secure_channel(target(address), security.credentials(), self._options)
            if security.is_tls
            else grpc.insecure_channel(target(address), self._options)
        )
        self._calls = self.stub(self._channel)

    @property
    def _stub(self) -> Any:
        return self._calls

    def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ask(self, call: Call[A]) -> A:
        try:
            return call.read(self._send(call))
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error


class AsyncClient(_Channel):
    """A client of one service on the event loop of its first call. Use it in an `async with`, or `close`.

    It may be made before the loop runs.
    """

    def __init__(self, address: str, *, timeout_seconds: float = 30.0, security: Security = PLAIN) -> None:
        super().__init__(address, timeout_seconds=timeout_seconds, security=security)
        credentials = security.credentials() if security.is_tls else None
        self._channel = LoopChannel(address, credentials, self._options)

    @property
    def _stub(self) -> Any:
        return self._channel.stub(self.stub)

    async def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, call: Call[A]) -> A:
        try:
            return call.read(await self._send(call))
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error


def _built(build: Callable[P, A], *args: P.args, **kwargs: P.kwargs) -> A:
    """Build a call. Raises FacerecError OPTION_INVALID where an argument has a type or value it can't."""
    try:
        return build(*args, **kwargs)
    except (TypeError, ValueError, AttributeError) as error:
        signature = inspect.signature(build)
        given = signature.bind(
            *args, **kwargs
        ).arguments  # a name that is not there is Python's own TypeError
        for name, value in given.items():
            if signature.parameters[name].annotation is str and not isinstance(value, str):
                kind = type(value).__name__
                raise option_invalid(name, f"{name} is of type {kind}: give a str") from error
        raise option_invalid("", str(error)) from error


def option_invalid(field: str, message: str) -> FacerecError:
    """The error of an argument that was refused here."""
    return FacerecError(message, reason=Reason.OPTION_INVALID, field=field)


def ask(build: Callable[P, Call[A]]) -> Callable[Concatenate[Client, P], A]:
    """A blocking client's method from a call."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> A:
        return self._ask(_built(build, *args, **kwargs))

    _describe(method, build)
    return method


def ask_async(build: Callable[P, Call[A]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, A]]:
    """An asyncio client's method from a call."""

    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> A:
        return await self._ask(_built(build, *args, **kwargs))

    _describe(method, build)
    return method


def each(build: Callable[P, Listing[A]]) -> Callable[Concatenate[Client, P], Iterator[A]]:
    """A blocking client's method that iterates over every item of a listing, a page at a time."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[A]:
        listing, token, more = _built(build, *args, **kwargs), "", True
        while more:
            items, token = self._ask(listing.page(token))
            yield from items
            more = bool(token)

    _describe(method, build)
    return method


def each_async(build: Callable[P, Listing[A]]) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[A]]:
    """An asyncio client's method that iterates over every item of a listing, a page at a time."""

    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[A]:
        listing, token, more = _built(build, *args, **kwargs), "", True
        while more:
            items, token = await self._ask(listing.page(token))
            for item in items:
                yield item
            more = bool(token)

    _describe(method, build)
    return method


def _describe(method: Callable[..., Any], build: Callable[..., Any]) -> None:
    """Give a method the call's name, docstring and parameters, for `help` and shells."""
    functools.update_wrapper(method, build)
    del method.__wrapped__  # type: ignore[attr-defined]
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [this, *inspect.signature(build).parameters.values()]
    method.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
