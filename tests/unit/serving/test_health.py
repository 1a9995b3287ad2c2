"""Health checks without a key are bounded, and stay available to other callers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2

from facerec.serving.middleware.reading import admission
from facerec.serving.server import health
from facerec.serving.server.server import Server, ServerOptions
from tests.fixtures.http2 import RawConnection, message_head

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(health, "MAX_WATCHES", 20)
    running = Server(ServerOptions("127.0.0.1:0", grace_seconds=0.1, health_address="127.0.0.1:0"), [])
    await running.start()
    yield running
    await running.stop()


def address(server: Server, port: str) -> str:
    return server.address if port == "calls" else str(server.health_address)


@pytest.mark.parametrize("port", ["calls", "health"])
async def test_a_watch_beyond_the_limit_ends_the_oldest(server: Server, port: str) -> None:
    async with grpc.aio.insecure_channel(address(server, port)) as channel:
        watch: Any = channel.unary_stream(
            WATCH, response_deserializer=health_pb2.HealthCheckResponse.FromString
        )
        calls = []
        for _ in range(25):
            calls.append(watch(b""))
            assert (await calls[-1].read()).status == health_pb2.HealthCheckResponse.SERVING
        for call in calls[:5]:
            assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not [call for call in calls[5:] if call.done()]


@pytest.mark.parametrize("port", ["calls", "health"])
async def test_a_check_with_a_late_message_is_answered(server: Server, port: str) -> None:
    raw = await RawConnection.open(int(address(server, port).rpartition(":")[2]))
    try:
        raw.head(1, CHECK.encode())
        await asyncio.sleep(0.2)
        raw.data(1, message_head(0), end=True)
        assert await raw.ended(1) == b"0"
    finally:
        raw.close()


async def test_checks_without_a_message_are_ended_for_others(server: Server) -> None:
    raw = await RawConnection.open(int(server.address.rpartition(":")[2]))
    try:
        for stream in range(1, 2 * admission.MAX_LATE_HEALTH + 40, 2):
            raw.head(stream, CHECK.encode())
        await raw.ended(1)  # the oldest
        async with grpc.aio.insecure_channel(server.address) as channel:
            check: Any = channel.unary_unary(CHECK)
            assert await check(b"", timeout=10)
    finally:
        raw.close()
