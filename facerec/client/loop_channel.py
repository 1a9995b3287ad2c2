"""A channel for asyncio that is opened by its first call."""

import asyncio
from typing import Any

import grpc
import grpc.aio

from facerec.client.channel import target
from facerec.errors import FacerecError, Reason


class LoopChannel:
    """A channel for asyncio, opened by the first call on the event loop that runs then.

    gRPC binds a channel to an event loop when it is made, which may be before there is one.
    """

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None, options: Any) -> None:
        self._address = address
        self._credentials = credentials
        self._options = options
        self._opened: tuple[asyncio.AbstractEventLoop, grpc.aio.Channel, Any] | None = None

    def stub(self, kind: Any) -> Any:
        """The stub over the channel. Raises FacerecError OPTION_INVALID on another event loop."""
        loop = asyncio.get_running_loop()
        if self._opened is None:
            channel = self._open()
            self._opened = loop, channel, kind(channel)
        opened_on, _, stub = self._opened
        if opened_on is not loop:
            raise FacerecError(
                "the client was used on another event loop before: make one for each event loop",
                reason=Reason.OPTION_INVALID,
            )
        return stub

    def _open(self) -> grpc.aio.Channel:
        if self._credentials is not None:
            return grpc.aio.secure_channel(target(self._address), self._credentials, self._options)
        return grpc.aio.insecure_channel(target(self._address), self._options)

    async def close(self) -> None:
        """Close the channel, if it was opened."""
        if self._opened is not None:
            await self._opened[1].close()
