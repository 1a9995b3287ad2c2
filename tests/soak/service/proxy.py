"""A proxy that disturbs connections: resets, black-holes, delays, and half-open connections."""

import asyncio
import contextlib
import enum
from collections.abc import Awaitable, Callable
from pathlib import Path

CHUNK_BYTES = 64 * 1024
DELAY_SECONDS = 0.2

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Mode(enum.Enum):
    """What the proxy does with bytes and connections."""

    PASS = "pass"
    RESET = "reset"  # connections there are end by RST, new ones at once
    BLACK_HOLE = "black hole"  # nothing arrives, as when packets are dropped; afterwards it does
    DELAY = "delay"  # everything arrives DELAY_SECONDS late
    HALF_OPEN = "half open"  # the far end of connections there are is gone without a word; new ones work


class FaultProxy:
    """Connects each caller with what `connect` opens. Runs on one event loop."""

    def __init__(self, connect: Callable[[], Awaitable[Opened]]) -> None:
        self._connect = connect
        self._mode = Mode.PASS
        self._changed = asyncio.Condition()
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._server: asyncio.Server | None = None
        self.touched = 0  # connections and chunks that a fault has reached: proof that it fired

    async def listen(self, socket: Path) -> None:
        """Listen on a Unix socket."""
        self._server = await asyncio.start_unix_server(self._serve, socket)

    async def start(self) -> int:
        """Listen on 127.0.0.1; returns the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Close everything."""
        await self.switch(Mode.RESET)
        if self._server:
            self._server.close()

    async def switch(self, mode: Mode) -> None:
        """Change the behaviour from now on."""
        async with self._changed:
            self._mode = mode
            self._changed.notify_all()
        for near, far in tuple(self._pairs):
            if mode is Mode.RESET:
                self.touched += 1
                near.transport.abort()
                far.transport.abort()
            elif mode is Mode.HALF_OPEN:
                self.touched += 1
                far.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.RESET:
            self.touched += 1
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, far_writer)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self._mode is Mode.DELAY:
                    self.touched += 1
                    await asyncio.sleep(DELAY_SECONDS)
                elif self._mode is Mode.BLACK_HOLE:
                    self.touched += 1
                    async with self._changed:
                        await self._changed.wait_for(lambda: self._mode is not Mode.BLACK_HOLE)
                if writer.transport.is_closing():
                    break
                writer.write(data)
                await writer.drain()
        if self._mode is Mode.HALF_OPEN:
            # The far end is gone and this one gets no notice: it finds out by itself, or never.
            async with self._changed:
                await self._changed.wait_for(lambda: self._mode is not Mode.HALF_OPEN)
        if not writer.transport.is_closing():
            writer.close()
