"""Headers and messages that no gRPC client would send, from callers without a key."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.e2e.access.conftest import bearer, entry
from tests.fixtures.http2 import MAX_CONCURRENT_STREAMS, RawConnection, message_head
from tests.fixtures.matcher import MatcherProcess

CHECK = "/grpc.health.v1.Health/Check"
VERIFY = "/facerec.matcher.v1.MatcherService/Verify"
SECRET = b"SECRET"
NO_TEXT = b"\xff\xfe"


@pytest.fixture
def matcher(database_url: str, keys_file: Callable[..., Path]) -> Iterator[MatcherProcess]:
    keys = ("--keys-file", str(keys_file(entry("admin", "a", ["admin"]))))
    server = MatcherProcess(database_url, *keys, "--health-address", "127.0.0.1:0")
    server.event("database_ready")
    yield server
    server.stop()


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


async def is_serving(address: str) -> bool:
    async with grpc.aio.insecure_channel(address) as channel:
        check: Any = channel.unary_unary(CHECK)
        return bool(await check(b"", timeout=10) == b"\x08\x01")


async def test_an_undecodable_method_name_fails_only_its_call(matcher: MatcherProcess) -> None:
    for address in (matcher.address, str(matcher.event("listening")["health"])):
        raw = await RawConnection.open(port(address))
        try:
            for stream in (1, 3, 5):
                raw.head(stream, b"/" + SECRET + NO_TEXT + b"/x")
                await raw.ended(stream)
        finally:
            raw.close()
        assert await is_serving(address)


async def test_undecodable_header_values_are_in_no_log(matcher: MatcherProcess) -> None:
    others: list[tuple[bytes, dict[str, bytes]]] = [
        (b"Bearer " + SECRET + NO_TEXT, {}),
        (b"Bearer x", {"grpc_timeout": b"1" + SECRET}),
        (b"Bearer x", {"authorization_bin": b"!" + SECRET}),
    ]
    for authorization, more in others:
        raw = await RawConnection.open(port(matcher.address))
        try:
            raw.head(1, VERIFY.encode(), authorization, **more)
            with contextlib.suppress(asyncio.IncompleteReadError):  # the connection ends with it
                await raw.ended(1)
        finally:
            raw.close()
        assert await is_serving(matcher.address)
    matcher.stop()
    assert not [line for line in matcher.lines if "SECRET" in line or not line.startswith("{")]


@pytest.mark.parametrize("path", [CHECK, VERIFY])
async def test_a_compressed_message_is_refused_unread(matcher: MatcherProcess, path: str) -> None:
    addresses = [matcher.address, str(matcher.event("listening")["health"])]
    for address in addresses if path == CHECK else addresses[:1]:
        async with grpc.aio.insecure_channel(address, compression=grpc.Compression.Gzip) as channel:
            call: Any = channel.unary_unary(path)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(bytes(100_000), metadata=bearer("a"), timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "gzip" in str(caught.value.details())


async def test_an_unknown_method_is_unimplemented_with_and_without_a_key(
    matcher: MatcherProcess,
) -> None:
    async with grpc.aio.insecure_channel(matcher.address) as channel:
        for metadata in (bearer("a"), None):
            call: Any = channel.unary_unary("/facerec.matcher.v1.MatcherService/Nothing")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"", metadata=metadata, timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_headers_beyond_16_kb_are_refused(matcher: MatcherProcess) -> None:
    async with grpc.aio.insecure_channel(matcher.address) as channel:
        check: Any = channel.unary_unary(CHECK)
        assert await check(b"", metadata=(("x-a", "a" * 12_000),), timeout=10)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(b"", metadata=(("x-a", "a" * 20_000),), timeout=10)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_connection_may_have_256_calls_at_once(matcher: MatcherProcess) -> None:
    for address in (matcher.address, str(matcher.event("listening")["health"])):
        raw = await RawConnection.open(port(address))
        settings = await raw.settings()
        raw.close()
        assert settings[MAX_CONCURRENT_STREAMS] == 256


async def test_the_health_port_takes_no_message_longer_than_a_services_name(matcher: MatcherProcess) -> None:
    raw = await RawConnection.open(port(str(matcher.event("listening")["health"])))
    try:
        raw.head(1, CHECK.encode())
        raw.data(1, message_head(1 << 20))
        await raw.ended(1)
    finally:
        raw.close()
