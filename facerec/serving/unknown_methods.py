"""gRPC's server, but for calls of methods that it does not serve: their names may be any bytes.

gRPC decodes the name of such a call in the loop that takes all calls, and where it is not UTF-8 that loop
ends, and with it the server (1.85.1). Methods registered by name, as all of ours are, are found by their
bytes and never come that way. So whatever does is answered here, its name unread.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, cast

import grpc
import grpc.aio
from grpc._cython import cygrpc
from grpc.aio import _server


def make(options: Sequence[tuple[str, Any]]) -> grpc.aio.Server:
    """A server with these channel options, of methods registered by name; no handler is asked for others."""
    return cast(grpc.aio.Server, _Server(options))


class _Server(_server.Server):
    def __init__(self, options: Sequence[tuple[str, Any]]) -> None:
        # Not the parent's, which would make a core of gRPC's own.
        self._loop = cygrpc.get_working_loop()
        self._server = _Core(self._loop, None, (), None, tuple(options), None)


class _Core(cygrpc.AioServer):  # type: ignore[misc]  # of no type that the stubs know
    """Keeps the calls of unknown methods from the loop that takes all calls."""

    async def _request_call(self) -> Any:
        """Answer every call of an unknown method; ends with the server's own error at its end."""
        loop, refusals = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        while True:
            state = await super()._request_call()
            refusal = loop.create_task(_refuse(cygrpc._ServicerContext(state, None, None, loop)))
            refusals.add(refusal)
            refusal.add_done_callback(refusals.discard)


async def _refuse(context: Any) -> None:
    with contextlib.suppress(grpc.aio.BaseError):  # raised for having ended it, or for a caller who is gone
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
