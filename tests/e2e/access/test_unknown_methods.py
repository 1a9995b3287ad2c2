"""The server keeps serving whatever method name a caller sends."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from facerec.serving.server.server import Server
from tests.fixtures.http2 import RawConnection

NAMES = ["/\xff", "/facerec.encoder.v1.EncoderService/Encode\xff\xfe", "/\xf0\x9f", "no/path", "/", "/a/b/c"]


@pytest.fixture
async def server(start_encoder: Callable[..., Any]) -> AsyncIterator[Server]:
    yield await start_encoder(health_address="127.0.0.1:0")


async def serves(address: str) -> bool:
    async with grpc.aio.insecure_channel(address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
    return bool(answer.status == health_pb2.HealthCheckResponse.NOT_SERVING)  # no model is loaded


async def test_an_undecodable_method_name_stops_neither_the_server_nor_the_health_port(
    server: Server,
) -> None:
    assert server.health_address
    for address in (server.address, server.health_address):
        raw = await RawConnection.open(int(address.rpartition(":")[2]))
        for index, name in enumerate(NAMES):
            raw.begin(2 * index + 1, name)
            await raw.ended(2 * index + 1)
        raw.close()
        assert await serves(address)


@pytest.mark.parametrize("name", ["/facerec.encoder.v1.EncoderService/Unknown", "/nobody/Knows"])
async def test_an_unknown_method_is_unimplemented(server: Server, name: str) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        unknown: Any = channel.unary_unary(name)
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await unknown(b"a" * 100_000, timeout=5)
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
