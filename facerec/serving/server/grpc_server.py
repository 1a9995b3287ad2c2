"""The grpc.aio server of both services: limits of connections, and calls of unknown methods."""

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
NO_COMPRESSION = 1  # only the bit of `identity`
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
        # A compressed message may expand a thousandfold before any limit of ours applies.
        ("grpc.compression_enabled_algorithms_bitset", NO_COMPRESSION),
        # At most 64 KB of a message are received before it is read, however fast its sender is.
        ("grpc.http2.bdp_probe", 0),
        # Two servers on one port would silently share its calls; the second one must fail to start.
        ("grpc.so_reuseport", 0),
    ]


def create(options: ChannelOptions) -> grpc.aio.Server:
    """A server without interceptors. Every method must be registered by name: others are UNIMPLEMENTED."""
    return cast(grpc.aio.Server, _Server(options))


class _Server(_server.Server):
    def __init__(self, options: ChannelOptions) -> None:
        self._loop = cygrpc.get_working_loop()
        self._server = _AioServer(self._loop, None, (), (), tuple(options), None)


class _AioServer(cygrpc.AioServer):  # type: ignore[misc]
    """A server that any caller could otherwise end by one call.

    gRPC's own loop decodes the name of an unregistered method as UTF-8, and ends if it is not. Here such
    calls are answered without reading their name.
    """

    async def _request_call(self) -> Any:
        refused: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        while True:
            call = await super()._request_call()
            task = loop.create_task(_refuse(call, loop))
            refused.add(task)  # the event loop keeps only weak references to tasks
            task.add_done_callback(refused.discard)


async def _refuse(call: Any, loop: asyncio.AbstractEventLoop) -> None:
    context = cygrpc._ServicerContext(call, None, None, loop)
    try:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, UNKNOWN_METHOD)
    except Exception as error:  # the call has ended, by this or by its caller
        logging.getLogger(__name__).debug("unknown method refused: %s", type(error).__name__)
