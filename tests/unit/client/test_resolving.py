"""How soon a client finds a replica that DNS names."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import pytest

from facerec.client import AsyncEncoderClient, EncoderClient
from facerec.errors import FacerecError
from tests.fixtures.dns import Dns, dns_server
from tests.fixtures.waiting import until
from tests.unit.client.flaky import serving

FOUND_SECONDS = 15  # gRPC's own 30 seconds between two questions would make it some 27

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes loopback addresses besides 127.0.0.1")


@pytest.fixture
async def dns() -> AsyncIterator[Dns]:
    async with dns_server() as server:
        yield server


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

    dns.addresses = ["127.0.0.2"]
    async with contextlib.AsyncExitStack() as stack:
        async with serving(address="127.0.0.2:0") as first:
            port = first.address.rpartition(":")[2]
            target = f"dns://127.0.0.1:{dns.port}/encoder.test:{port}"
            call = await stack.enter_async_context(connect(target))
            await call()
        assert not await answered(), "DNS was asked and named the replica that is gone"
        async with serving(address=f"127.0.0.3:{port}"):
            dns.addresses = ["127.0.0.3"]
            began = time.monotonic()
            await until(answered)
            assert time.monotonic() - began < FOUND_SECONDS
