"""Turns functions that build calls into methods, so that both forms of a client share one definition.

The package `calls` has a function for each method, which builds a `Call` or `PagedCall` (see `rpc`) from the
method's arguments and has the method's docstring. The functions here turn it into a method with the same
arguments, which sends the call and reads the answer.
"""

import functools
import inspect
import types
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

import grpc

from facerec.client.base import AsyncClient, Client
from facerec.client.failures import from_rpc_error, option_invalid
from facerec.client.rpc import Call, PagedCall

P = ParamSpec("P")
A = TypeVar("A")
M = TypeVar("M", bound=Callable[..., Any])

COMMON_ERRORS = """
Any call may also raise FacerecError for one of these reasons: KEY_MISSING and KEY_UNKNOWN (no key, or none
that the service knows); NOT_PERMITTED (the key does not permit the call, the collection, or the argument that
`field` names); RATE_LIMITED and OVERLOADED (`retry_after_seconds` says how long to wait); STORE_UNAVAILABLE
(the matcher cannot reach its database); MODEL_UNAVAILABLE (the encoder has no model ready); UNREACHABLE (no
service is ready at the address); DEADLINE_EXCEEDED (no answer within `timeout_seconds`); OPTION_INVALID (an
argument of a wrong type); INTERNAL. Once the client is closed it raises RuntimeError. Where the services ask
for no keys, everything is permitted that a role, `scores` or `encodings` of a key permits.
"""
"""Appended to the docstring of each method."""


def unary(build: Callable[P, Call[A]]) -> Callable[Concatenate[Client, P], A]:
    """A blocking client's method that sends one request and returns one answer."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> A:
        return _call(self, build_request(build, *args, **kwargs))

    return _describe(method, build)


def async_unary(build: Callable[P, Call[A]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, A]]:
    """An asyncio client's method that sends one request and returns one answer."""

    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> A:
        return await _async_call(self, build_request(build, *args, **kwargs))

    return _describe(method, build)


def paged(build: Callable[P, PagedCall[A]]) -> Callable[Concatenate[Client, P], Iterator[A]]:
    """A blocking client's method that iterates over a list and fetches it a page at a time."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[A]:
        call, token, more = build_request(build, *args, **kwargs), "", True
        while more:
            items, token = _call(self, call.page(token))
            yield from items
            more = bool(token)

    return _describe(method, build, Iterator)


def async_paged(build: Callable[P, PagedCall[A]]) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[A]]:
    """An asyncio client's method that iterates over a list and fetches it a page at a time."""

    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[A]:
        call, token, more = build_request(build, *args, **kwargs), "", True
        while more:
            items, token = await _async_call(self, call.page(token))
            for item in items:
                yield item
            more = bool(token)

    return _describe(method, build, AsyncIterator)


def stream(build: Callable[P, Call[A]]) -> Callable[Concatenate[Client, P], Generator[A, None, None]]:
    """A blocking client's method that iterates over responses; the RPC ends with the generator."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Generator[A, None, None]:
        call = build_request(build, *args, **kwargs)
        responses = self._send(call.method, call.request, deadline=False)
        try:
            yield from map(call.read, responses)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        finally:
            responses.cancel()

    return _describe(method, build, Generator, None, None)


def async_stream(
    build: Callable[P, Call[A]],
) -> Callable[Concatenate[AsyncClient, P], AsyncGenerator[A, None]]:
    """An asyncio client's method that iterates over responses; the RPC ends with the generator."""

    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[A, None]:
        call = build_request(build, *args, **kwargs)
        responses = self._send(call.method, call.request, deadline=False)
        try:
            async for response in responses:
                yield call.read(response)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        finally:
            responses.cancel()

    return _describe(method, build, AsyncGenerator, None)


def collected(build: Callable[P, Call[A]]) -> Callable[Concatenate[Client, P], A]:
    """A blocking client's method that reads all responses and returns one answer."""

    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> A:
        call = build_request(build, *args, **kwargs)
        responses = self._send(call.method, call.request)
        try:
            return call.read(list(responses))
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        finally:
            responses.cancel()

    return _describe(method, build)


def async_collected(
    build: Callable[P, Call[A]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, A]]:
    """An asyncio client's method that reads all responses and returns one answer."""

    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> A:
        call = build_request(build, *args, **kwargs)
        responses = self._send(call.method, call.request)
        try:
            return call.read([response async for response in responses])
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        finally:
            responses.cancel()

    return _describe(method, build)


def build_request(build: Callable[P, A], *args: P.args, **kwargs: P.kwargs) -> A:
    """Call `build`. Raises FacerecError OPTION_INVALID for an argument of a type or value that it refuses."""
    try:
        return build(*args, **kwargs)
    except (TypeError, ValueError, AttributeError) as error:
        signature = inspect.signature(build)
        given = signature.bind(*args, **kwargs).arguments  # TypeError, Python's own, for an unknown name
        for name, value in given.items():
            if signature.parameters[name].annotation is str and not isinstance(value, str):
                kind = type(value).__name__
                raise option_invalid(name, f"{name} is of type {kind}: give a str") from error
        raise option_invalid("", str(error)) from error


def with_common_errors(method: M) -> M:
    """Append COMMON_ERRORS to a method's docstring."""
    method.__doc__ = f"{inspect.cleandoc(method.__doc__ or '')}\n{COMMON_ERRORS}"
    return method


def described_by(other: Callable[..., Any]) -> Callable[[M], M]:
    """Replace a method's docstring by that of another method."""

    def describe(method: M) -> M:
        method.__doc__ = other.__doc__
        return method

    return describe


def _call(client: Client, call: Call[A]) -> A:
    try:
        return call.read(client._send(call.method, call.request))
    except grpc.RpcError as error:
        raise from_rpc_error(error, client.address) from error


async def _async_call(client: AsyncClient, call: Call[A]) -> A:
    try:
        return call.read(await client._send(call.method, call.request))
    except grpc.RpcError as error:
        raise from_rpc_error(error, client.address) from error


def _describe(method: M, build: Callable[..., Any], kind: Any = None, *more: Any) -> M:
    """Give a method the name, docstring and parameters of the function that builds its call, for `help`.

    Its return annotation is the answer's type, or the generic type `kind` of it where that is given.
    """
    functools.update_wrapper(method, build)
    del method.__wrapped__  # type: ignore[attr-defined]
    signature = inspect.signature(build)
    answer = typing.get_args(signature.return_annotation)[0]
    method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *signature.parameters.values()],
        return_annotation=types.GenericAlias(kind, (answer, *more)) if kind else answer,
    )
    return with_common_errors(method)
