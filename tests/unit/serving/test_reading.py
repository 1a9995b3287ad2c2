"""Messages of all calls share a byte budget: received ones, and those still arriving."""

import asyncio
import dataclasses
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import psutil
import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from facerec.client.failures import from_rpc_error
from facerec.errors import FacerecError, Reason
from facerec.serving.fairness.byte_budget import SMALL_BYTES, FairByteBudget
from facerec.serving.middleware import call, status
from facerec.serving.middleware.answers import AnswerWriter
from facerec.serving.middleware.caller import Caller
from facerec.serving.middleware.chain import Middleware, MiddlewareServer
from facerec.serving.middleware.reading import read_timer, reader
from facerec.serving.middleware.reading.reader import RequestReader
from facerec.serving.observability.memory import Memory
from facerec.serving.server import grpc_server
from tests.fixtures.http2 import RawConnection, message_head
from tests.fixtures.waiting import LIMIT_SECONDS

LARGEST = 1_000_000
ROOM = 2_500_000  # for two of the largest
OF_ITS_OWN = (("grpc.use_local_subchannel_pool", 1),)  # a connection: else channels share one
PATH, EACH, SMALL = "/test.Holder/Hold", "/test.Holder/Each", "/test.Holder/Small"
FLOOD = "flood"
_numbers = itertools.count()
MOST_LATE = 12  # of the 20 for which there is room: a caller leaves one of the largest to others


@dataclasses.dataclass
class Running:
    """A server whose unary method waits until it is released, and its number of messages."""

    port: int
    begun: int = 0
    held: int = 0
    keeps: bool = False
    go: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    async def call(self, size: int, *, seconds: float = 10, path: str = PATH, key: str = "") -> int:
        """Ask with a message of so many bytes, as a caller of a name of its own where there is no `key`."""
        key = key or f"caller{next(_numbers)}"
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=OF_ITS_OWN) as channel:
            method: Any = channel.unary_unary(path)
            try:
                message, metadata = BytesValue(value=bytes(size)), (("authorization", key),)
                return len(await method(message.SerializeToString(), timeout=seconds, metadata=metadata))
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error, "") from None

    def begin(self, method: Any, does: Any) -> Any:
        """The middleware that begins a call, its caller the one that the key names."""

        async def handle(request: Any, context: Any) -> Any:
            self.begun += 1
            present = call.begin(context.invocation_metadata(), context.peer)
            present.caller = Caller(name=present.header("authorization"))
            return await does(request, context)

        return handle

    async def hold(self, request: BytesValue, context: Any) -> BytesValue:
        self.held += 1
        await self.go.wait()
        self.held -= 1
        return BytesValue(value=b"x")

    async def each(self, requests: AsyncIterator[BytesValue], context: Any) -> AsyncIterator[BytesValue]:
        kept = []
        async for request in requests:
            self.held += 1
            if self.keeps:
                kept.append((request, call.keep_message()))
            yield BytesValue(value=b"x")


Start = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    servers: list[grpc.aio.Server] = []

    async def begin(*, max_seconds: float = 10, room_bytes: int = ROOM) -> Running:
        server = grpc_server.create(grpc_server.limits(2 * LARGEST))
        servers.append(server)
        running = Running(0)
        reads = RequestReader(
            budget_bytes=room_bytes, max_message_bytes=LARGEST, max_seconds=max_seconds, large={PATH, EACH}
        )
        forms: Any = {
            "request_deserializer": BytesValue.FromString,
            "response_serializer": BytesValue.SerializeToString,
        }
        unary = grpc.unary_unary_rpc_method_handler(running.hold, **forms)
        stream = grpc.stream_stream_rpc_method_handler(running.each, **forms)
        chain: list[Middleware] = [
            running.begin,
            status.map_errors,
            AnswerWriter(FairByteBudget(room_bytes)),
            reads,
        ]
        MiddlewareServer(server, chain).add_registered_method_handlers(
            "test.Holder", {"Hold": unary, "Small": unary, "Each": stream}
        )
        running.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return running

    yield begin
    for server in servers:
        await server.stop(0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


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


async def test_a_cancelled_call_frees_its_bytes(start: Start) -> None:
    running = await start()
    for _ in range(5):
        with pytest.raises(FacerecError):
            await running.call(LARGEST - 10, seconds=0.2)
    running.go.set()
    assert await running.call(LARGEST - 10) == 3


async def test_an_invalid_message_is_refused_as_such(start: Start) -> None:
    running = await start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        unary: Any = channel.unary_unary(PATH)
        stream: Any = channel.stream_unary(PATH)
        for sent, message in (
            (unary(b"\xff\xff"), "not a message of this type"),
            (stream(iter(())), "no request message"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await sent
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert message in str(caught.value.details())


async def begin_many(running: Running) -> RawConnection:
    """A connection with more late messages than its caller's share."""
    raw = await RawConnection.open(running.port)
    for stream in range(1, 2 * MOST_LATE + 4, 2):
        raw.begin(stream, PATH, FLOOD)
    await raw.ended_any()
    return raw


async def test_late_messages_of_one_caller_leave_room_for_the_largest_of_another(start: Start) -> None:
    running = await start()
    raw = await begin_many(running)
    try:
        other = asyncio.create_task(running.call(LARGEST - 10))
        await until(lambda: running.held == 1)
        running.go.set()
        await other
    finally:
        raw.close()


async def test_without_keys_a_host_has_one_share_whatever_its_connections(start: Start) -> None:
    running = await start(max_seconds=1000)
    opened = [await RawConnection.open(running.port) for _ in range(2)]
    each = MOST_LATE // 2 + 2
    try:
        for number, raw in enumerate(opened, 1):
            for stream in range(1, 2 * each, 2):
                raw.begin(stream, PATH)
            await until(lambda number=number: running.begun == number * each)  # type: ignore[misc]
        async with asyncio.timeout(LIMIT_SECONDS / 4):  # gRPC ends connections such as these after a minute
            await opened[1].ended_any()
    finally:
        for raw in opened:
            raw.close()


async def test_many_messages_that_are_shortly_late_at_once_are_all_answered(start: Start) -> None:
    running = await start()
    running.go.set()
    raw = await RawConnection.open(running.port)
    streams = range(1, 2 * (MOST_LATE + 4), 2)
    try:
        for stream in streams:
            raw.head(stream, PATH.encode())
        await asyncio.sleep(0.2)
        for stream in streams:
            raw.data(stream, message_head(0), end=True)
        # HPACK sends a repeated status as an index into its table; another status would be sent as text.
        assert {(await raw.ended_any())[1] for _ in streams} <= {b"0", b""}
    finally:
        raw.close()


async def test_a_callers_own_late_messages_keep_no_permit_that_its_next_call_waits_for(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_timer, "GRACE_SECONDS", 1000.0)
    running = await start(max_seconds=1000)
    running.go.set()
    raw = await RawConnection.open(running.port)
    try:
        for stream in range(1, 4 * MOST_LATE, 2):
            raw.begin(stream, PATH, FLOOD)
        await until(lambda: running.begun == 2 * MOST_LATE)
        assert await running.call(1000, key=FLOOD) == 3
    finally:
        raw.close()


async def test_a_caller_that_hangs_up_frees_its_bytes(start: Start) -> None:
    running = await start()
    running.go.set()
    raw = await begin_many(running)
    with pytest.raises(FacerecError):
        await running.call(LARGEST - 10, key=FLOOD)
    raw.close()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await running.call(LARGEST - 10) == 3
            except FacerecError:
                await asyncio.sleep(0.02)
            else:
                return


async def test_a_late_message_as_long_as_the_whole_budget_is_taken(start: Start) -> None:
    running = await start(room_bytes=LARGEST)
    running.go.set()
    raw = await RawConnection.open(running.port)
    payload = BytesValue(value=bytes(LARGEST - 20_000)).SerializeToString()
    try:
        raw.head(1, PATH.encode())
        raw.data(1, message_head(len(payload)))
        await asyncio.sleep(0.1)  # late by now
        await raw.send(1, payload)
        assert await raw.ended(1) == b"0"
    finally:
        raw.close()


async def test_streams_that_are_idle_leave_room_for_the_largest_message_of_another(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "STREAM_WAIT_SECONDS", 0.2)
    running = await start()
    running.go.set()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        each: Any = channel.stream_stream(EACH)
        streams = [each() for _ in range(MOST_LATE + 4)]
        await until(lambda: sum(stream.done() for stream in streams) == 4)
        assert await running.call(LARGEST - 10) == 3
        for stream in streams:
            stream.cancel()


async def test_messages_of_a_stream_that_its_handler_keeps_are_counted_until_it_is_done(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "STREAM_WAIT_SECONDS", 0.2)
    running = await start()
    running.keeps = True
    item = BytesValue(value=bytes(50_000)).SerializeToString()  # sent whether or not it is read

    async def send(count: int) -> grpc.StatusCode:
        stream: Any = each()
        try:
            for _ in range(count):
                await stream.write(item)
                await stream.read()
        except grpc.aio.AioRpcError as error:
            return error.code()
        await stream.done_writing()
        return await stream.code()  # type: ignore[no-any-return]

    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}") as channel:
        each: Any = channel.stream_stream(EACH)
        assert await send(100) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert 1 < running.held < 50
        running.keeps = False
        assert await send(100) is grpc.StatusCode.OK


async def test_a_method_that_carries_no_image_takes_small_messages_alone(start: Start) -> None:
    running = await start()
    running.go.set()
    assert await running.call(SMALL_BYTES - 10, path=SMALL) == 3
    with pytest.raises(FacerecError, match="takes 65,536 at most") as caught:
        await running.call(SMALL_BYTES, path=SMALL)
    assert caught.value.reason is Reason.OPTION_INVALID


async def test_late_messages_delay_no_other_call(start: Start) -> None:
    running = await start(room_bytes=64 * LARGEST)
    running.go.set()
    raw = await RawConnection.open(running.port)
    try:
        for stream in range(1, 101, 2):
            raw.begin(stream, PATH)
        async with asyncio.timeout(5):
            for _ in range(20):
                assert await running.call(1000) == 3
    finally:
        raw.close()


async def test_late_messages_of_several_callers_leave_room_for_another_callers(start: Start) -> None:
    running = await start(max_seconds=1000)
    running.go.set()
    opened = [await RawConnection.open(running.port) for _ in range(4)]
    try:
        for number, raw in enumerate(opened):
            for stream in range(1, 2 * MOST_LATE + 4, 2):
                raw.begin(stream, PATH, f"{FLOOD}{number}")
            await raw.ended_any()  # as its caller has no more room
        assert await running.call(1000) == 3
    finally:
        for raw in opened:
            raw.close()


async def test_a_late_message_is_refused_when_memory_is_tight(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "Memory", lambda: Memory(limit_bytes=1000))
    running = await start()
    running.go.set()
    raw = await RawConnection.open(running.port)
    try:
        raw.begin(1, PATH)
        await raw.ended(1)
        assert await running.call(1000) == 3
    finally:
        raw.close()


def test_memory_is_tight_by_what_the_process_takes() -> None:
    taken = psutil.Process().memory_info().rss
    assert Memory(limit_bytes=taken).is_low()
    assert not Memory(limit_bytes=2 * taken).is_low()


async def test_a_message_that_takes_too_long_is_refused(start: Start) -> None:
    running = await start(max_seconds=0.3)
    running.go.set()
    raw = await RawConnection.open(running.port)
    try:
        raw.begin(1, PATH)
        await raw.ended(1)
    finally:
        raw.close()
    assert await running.call(LARGEST - 10) == 3
