"""Middleware wraps every handler once, however it was registered."""

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import grpc
import grpc.aio
import pytest

from facerec.serving.middleware.chain import Handler, Method, Middleware, MiddlewareServer
from facerec.serving.middleware.reading.reader import RequestReader

SERVICE = "test.Echo"
METHODS = {
    "One": grpc.unary_unary_rpc_method_handler,
    "Many": grpc.unary_stream_rpc_method_handler,
    "Add": grpc.stream_unary_rpc_method_handler,
    "Each": grpc.stream_stream_rpc_method_handler,
}


async def one(request: bytes, context: Any) -> bytes:
    return request


async def many(request: bytes, context: Any) -> AsyncIterator[bytes]:
    yield request
    yield request


async def add(requests: AsyncIterator[bytes], context: Any) -> bytes:
    return b"".join([request async for request in requests])


async def each(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


def handlers() -> dict[str, Any]:
    does = {"One": one, "Many": many, "Add": add, "Each": each}
    return {name: METHODS[name](cast(Any, does[name])) for name in METHODS}


def tagging(tag: bytes, wrapped: list[str]) -> Callable[[Method, Handler], Handler]:
    """A middleware that records its tag at each call."""

    def tagged(method: Method, does: Handler) -> Handler:
        wrapped.append(method.path)

        async def handle(request: Any, context: Any) -> Any:
            seen.append(tag)
            return await does(request, context)

        return handle

    return tagged


seen: list[bytes] = []


async def items(*messages: bytes) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


async def test_every_kind_of_handler_goes_through_all_middleware_outermost_first() -> None:
    wrapped: list[str] = []
    server = grpc.aio.server()
    reader = RequestReader(budget_bytes=1000, max_message_bytes=1000, max_seconds=10, large=())
    chain: list[Middleware] = [tagging(b"outer", wrapped), reader, tagging(b"inner", wrapped)]
    MiddlewareServer(server, chain).add_registered_method_handlers(SERVICE, handlers())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for _ in range(3):
                seen.clear()
                one: Any = channel.unary_unary(f"/{SERVICE}/One")
                assert await one(b"a") == b"a"
                many: Any = channel.unary_stream(f"/{SERVICE}/Many")
                assert [answer async for answer in many(b"a")] == [b"a"] * 2
                add: Any = channel.stream_unary(f"/{SERVICE}/Add")
                assert await add(items(b"a", b"b")) == b"ab"
                each: Any = channel.stream_stream(f"/{SERVICE}/Each")
                assert [answer async for answer in each(items(b"a", b"b"))] == [b"a", b"b"]
                assert seen == [b"outer", b"inner"] * len(METHODS)
            unknown: Any = channel.unary_unary(f"/{SERVICE}/Unknown")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unknown(b"a")
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    finally:
        await server.stop(0)
    assert sorted(wrapped) == sorted(2 * [f"/{SERVICE}/{method}" for method in METHODS])
