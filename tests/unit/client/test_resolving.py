"""How soon a client finds a replica that DNS names."""

import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, cast

import pytest

from facerec.client import AsyncEncoderClient, EncoderClient
from facerec.errors import FacerecError
from tests.fixtures.waiting import until
from tests.unit.client.flaky import serving

FOUND_SECONDS = 15  # gRPC's own 30 seconds between two questions would make it some 27

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes loopback addresses besides 127.0.0.1")


class Dns(asyncio.DatagramProtocol):
    """Answers every question for an IPv4 address with `address`, which may be kept for a second."""

    def __init__(self) -> None:
        self.address = ""
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question_end = data.index(0, 12) + 5
        [kind] = struct.unpack_from(">H", data, question_end - 4)
        answer = struct.pack(">HHHIH", 0xC00C, 1, 1, 1, 4) + socket.inet_aton(self.address)
        answers = [answer] if kind == 1 else []
        head = data[:2] + struct.pack(">HHHHH", 0x8400, 1, len(answers), 0, 0)
        self._transport.sendto(head + data[12:question_end] + b"".join(answers), addr)


@pytest.fixture
async def dns() -> AsyncIterator[Dns]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(Dns, local_addr=("127.0.0.1", 0))
    yield server
    transport.close()


Call: TypeAlias = Callable[[], Awaitable[object]]


@contextlib.asynccontextmanager
async def asyncio_calls(address: str) -> AsyncIterator[Call]:
    async with AsyncEncoderClient(address, timeout_seconds=5) as client:
        yield lambda: client.encode(b"image")


@contextlib.asynccontextmanager
async def blocking_calls(address: str) -> AsyncIterator[Call]:
    with EncoderClient(address, timeout_seconds=5) as client:
        yield lambda: asyncio.to_thread(client.encode, b"image")


@pytest.mark.parametrize("connect", [asyncio_calls, blocking_calls])
async def test_a_replica_at_a_new_address_is_soon_found(
    dns: Dns, connect: Callable[[str], contextlib.AbstractAsyncContextManager[Call]]
) -> None:
    async def answered() -> bool:
        try:
            await call()
        except FacerecError:
            return False
        return True

    dns.address = "127.0.0.2"
    async with contextlib.AsyncExitStack() as stack:
        async with serving(address=f"{dns.address}:0") as first:
            port = first.address.rpartition(":")[2]
            target = f"dns://127.0.0.1:{dns.port}/encoder.test:{port}"
            call = await stack.enter_async_context(connect(target))
            await call()
        assert not await answered(), "DNS was asked and named the replica that is gone"
        async with serving(address=f"127.0.0.3:{port}"):
            dns.address = "127.0.0.3"
            began = time.monotonic()
            await until(answered)
            assert time.monotonic() - began < FOUND_SECONDS
