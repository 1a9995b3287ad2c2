"""The grpc.aio server that both services listen with: its limits, and calls of methods that there are not."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, cast

import grpc
import grpc.aio
from grpc._cython import cygrpc
from grpc.aio import _server

MAX_STREAMS_PER_CONNECTION = 256
MAX_HEADER_BYTES = 16 * 1024
NO_COMPRESSION = 1  # the bit of `identity`, alone
UNKNOWN_METHOD = "Method not found!"

ChannelOptions = Sequence[tuple[str, int]]


def limits(max_message_bytes: int) -> list[tuple[str, int]]:
    """The channel arguments by which gRPC itself bounds what a connection costs.

    `max_message_bytes` is the size of the largest message received or sent.
    """
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_concurrent_streams", MAX_STREAMS_PER_CONNECTION),
        ("grpc.max_metadata_size", MAX_HEADER_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_HEADER_BYTES),
        # A compressed message is a thousandth of what it becomes, before any code of ours reads it.
        ("grpc.compression_enabled_algorithms_bitset", NO_COMPRESSION),
        # Of a message that nobody reads yet its first 64 KB are taken in, however quick its sender is.
        ("grpc.http2.bdp_probe", 0),
        # Two servers on one port would share its calls in silence; the second is to be refused.
        ("grpc.so_reuseport", 0),
    ]


def server(options: ChannelOptions) -> grpc.aio.Server:
    """A server without interceptors. Every method must be registered by name: others are UNIMPLEMENTED."""
    return cast(grpc.aio.Server, _Server(options))


class _Server(_server.Server):
    def __init__(self, options: ChannelOptions) -> None:
        self._loop = cygrpc.get_working_loop()
        self._server = _AioServer(self._loop, None, (), (), tuple(options), None)


class _AioServer(cygrpc.AioServer):  # type: ignore[misc]
    """gRPC's own loop decodes the name of an unregistered method as UTF-8 and ends the server where it is
    not: anybody could end it by one call. Here such calls are answered by themselves, their name unread."""

    async def _request_call(self) -> Any:
        refused: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        while True:
            call = await super()._request_call()
            task = loop.create_task(_refuse(call, loop))
            refused.add(task)  # a loop keeps no task alive by itself
            task.add_done_callback(refused.discard)


async def _refuse(call: Any, loop: asyncio.AbstractEventLoop) -> None:
    context = cygrpc._ServicerContext(call, None, None, loop)
    try:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, UNKNOWN_METHOD)
    except Exception as error:  # the call has ended, by this or by its caller
        logging.getLogger(__name__).debug("unknown method refused: %s", type(error).__name__)
