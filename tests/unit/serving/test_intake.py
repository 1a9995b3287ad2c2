"""Messages of all calls within a budget: those that are there, and those that are still coming."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import psutil
import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from facerec.client.failures import from_rpc_error
from facerec.errors import FacerecError, Reason
from facerec.serving import intake, status
from facerec.serving.intake import Intake
from facerec.serving.layers import LayeredServer
from facerec.serving.memory import Memory
from tests.fixtures.http2 import Dripping
from tests.fixtures.waiting import LIMIT_SECONDS, until

LARGEST = 1_000_000
ROOM = 2_500_000  # for two of the largest
PATH = "/test.Holder/Hold"
HEALTH = "/grpc.health.v1.Health/Check"


@dataclasses.dataclass
class Running:
    """A server whose one method waits until it is let go, and how many messages it has."""

    port: int
    held: int = 0
    go: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    async def call(self, size: int, path: str = PATH) -> int:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            method: Any = channel.unary_unary(path)
            try:
                message = BytesValue(value=bytes(size)).SerializeToString()
                return len(await method(message, timeout=LIMIT_SECONDS))
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error, "") from None


Start = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    servers: list[grpc.aio.Server] = []

    async def begin(*, most_seconds: float = 10 * LIMIT_SECONDS, room_bytes: int = ROOM) -> Running:
        server = grpc.aio.server()
        servers.append(server)
        running = Running(0)

        async def hold(request: BytesValue, context: Any) -> BytesValue:
            running.held += 1
            try:
                await running.go.wait()
            finally:
                running.held -= 1
            return BytesValue(value=b"x")

        reads = Intake(room_bytes=room_bytes, largest_bytes=LARGEST, most_seconds=most_seconds)
        handler = grpc.unary_unary_rpc_method_handler(
            hold,
            request_deserializer=BytesValue.FromString,
            response_serializer=BytesValue.SerializeToString,
        )
        layered = LayeredServer(server, [status.mapped, reads])
        layered.add_registered_method_handlers("test.Holder", {"Hold": handler})
        layered.add_registered_method_handlers("grpc.health.v1.Health", {"Check": handler})
        running.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return running

    yield begin
    for server in servers:
        await server.stop(0)


async def test_a_message_counts_until_its_call_has_ended(start: Start) -> None:
    running = await start()
    two = [asyncio.create_task(running.call(LARGEST - 10)) for _ in range(2)]
    await until(lambda: running.held == 2)
    small = asyncio.create_task(running.call(100_000))
    await until(lambda: running.held == 3)
    with pytest.raises(FacerecError) as caught:
        await running.call(LARGEST - 10)
    assert caught.value.reason is Reason.OVERLOADED
    assert caught.value.retry_after_seconds
    running.go.set()
    await asyncio.gather(*two, small)
    assert await running.call(LARGEST - 10) == 3


async def test_a_call_that_is_given_up_gives_its_room_back(start: Start) -> None:
    running = await start()
    for _ in range(5):
        given_up = asyncio.create_task(running.call(LARGEST - 10))
        await until(lambda: running.held == 1)
        given_up.cancel()
        await until(lambda: running.held == 0)
    running.go.set()
    assert await running.call(LARGEST - 10) == 3


async def test_what_is_no_message_is_told_so(start: Start) -> None:
    running = await start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        unary: Any = channel.unary_unary(PATH)
        stream: Any = channel.stream_unary(PATH)
        for call, told in (
            (unary(b"\xff\xff"), "not a message of this type"),
            (stream(iter(())), "brought no"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert told in str(caught.value.details())


async def test_a_message_that_does_not_come_counts_as_the_largest(start: Start) -> None:
    running = await start()
    dripping = await Dripping.open(running.port)
    try:
        for stream in (1, 3):
            dripping.begin(stream, PATH)
        dripping.begin(5, PATH)  # the third finds no room
        await dripping.ended(5)
        with pytest.raises(FacerecError) as caught:
            await running.call(LARGEST - 10)
        assert caught.value.reason is Reason.OVERLOADED
        small = asyncio.create_task(running.call(100_000))
        await until(lambda: running.held == 1)
        running.go.set()
        await small
    finally:
        dripping.close()

    async def has_room() -> bool:
        try:
            return bool(await running.call(LARGEST - 10) == 3)
        except FacerecError as error:
            assert error.reason is Reason.OVERLOADED
            return False

    await until(has_room)  # what hung up gives its own back


async def test_slow_messages_are_in_nobodys_way(start: Start) -> None:
    running = await start(room_bytes=64 * LARGEST)
    running.go.set()
    dripping = await Dripping.open(running.port)
    try:
        for stream in range(1, 101, 2):
            dripping.begin(stream, PATH)
        for _ in range(20):  # the slow ones are still under way
            assert await running.call(1000) == 3
    finally:
        dripping.close()


async def test_health_is_told_though_its_message_seems_slow(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "LOOK_SECONDS", 0.0)  # as on a machine too busy to read it at once
    running = await start()
    running.go.set()
    for _ in range(20):
        assert await running.call(100, HEALTH) == 3


async def test_a_slow_message_is_refused_where_memory_is_tight(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "Memory", lambda: Memory(limit_bytes=1000))
    running = await start()
    running.go.set()
    dripping = await Dripping.open(running.port)
    try:
        dripping.begin(1, PATH)
        await dripping.ended(1)
        assert await running.call(1000) == 3
    finally:
        dripping.close()


def test_memory_is_tight_by_what_the_process_takes() -> None:
    taken = psutil.Process().memory_info().rss
    assert Memory(limit_bytes=taken).tight()
    assert not Memory(limit_bytes=2 * taken).tight()


async def test_a_message_that_takes_too_long_to_come_is_waited_for_no_longer(start: Start) -> None:
    running = await start(most_seconds=0.3)
    running.go.set()
    dripping = await Dripping.open(running.port)
    try:
        dripping.begin(1, PATH)
        await dripping.ended(1)
    finally:
        dripping.close()
    assert await running.call(LARGEST - 10) == 3
