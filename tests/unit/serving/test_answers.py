"""Answers count in a byte budget, shared by callers, until they are read."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt32Value

from facerec.client.failures import from_rpc_error
from facerec.errors import FacerecError, Reason
from facerec.serving.fairness.byte_budget import FairByteBudget
from facerec.serving.middleware import answers, call, status
from facerec.serving.middleware.answers import UNCOUNTED_BYTES, AnswerWriter
from facerec.serving.middleware.caller import Caller
from facerec.serving.middleware.chain import Middleware, MiddlewareServer
from facerec.serving.middleware.reading.reader import RequestReader
from facerec.serving.server import grpc_server
from tests.fixtures.http2 import RawConnection, message_head
from tests.fixtures.waiting import LIMIT_SECONDS

BUDGET = 1_000_000
ANSWER = 100_000  # more than a connection takes in unread
UNREAD = 7  # of one caller, who leaves a quarter
ONE, MANY = b"/test.Maker/One", b"/test.Maker/Many"


@dataclasses.dataclass
class Maker:
    """A server that answers with as many bytes as it is asked for; a caller is who its key says."""

    port: int = 0
    made: int = 0

    async def one(self, request: UInt32Value, context: Any) -> BytesValue:
        self.made += 1
        return BytesValue(value=bytes(request.value))

    async def many(self, request: UInt32Value, context: Any) -> AsyncIterator[BytesValue]:
        while True:
            self.made += 1
            yield BytesValue(value=bytes(request.value))

    async def ask(self, size: int, key: str) -> int:
        """Answered bytes."""
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            one: Any = channel.unary_unary(ONE.decode(), response_deserializer=BytesValue.FromString)
            try:
                answer = await one(message(size), metadata=(("authorization", key),), timeout=LIMIT_SECONDS)
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error, "") from None
            return len(answer.value)


def message(size: int) -> bytes:
    return UInt32Value(value=size).SerializeToString()


def ask_unread(raw: RawConnection, path: bytes, streams: range, size: int) -> None:
    """Ask for answers of so many bytes, and let the server write no more than 64 KB of them."""
    for stream in streams:
        raw.head(stream, path, b"unread")
        raw.data(stream, message_head(len(message(size))) + message(size), end=True)


def named(method: Any, does: Any) -> Any:
    """The middleware that begins a call, its caller the one that the key names."""

    async def handle(request: Any, context: Any) -> Any:
        present = call.begin(context.invocation_metadata(), context.peer)
        present.caller = Caller(name=present.header("authorization"))
        return await does(request, context)

    return handle


@pytest.fixture
async def maker() -> AsyncIterator[Maker]:
    maker, server = Maker(), grpc_server.create(grpc_server.limits(BUDGET))
    reader = RequestReader(budget_bytes=BUDGET, max_message_bytes=BUDGET, max_seconds=60, large=())
    forms: Any = {
        "request_deserializer": UInt32Value.FromString,
        "response_serializer": BytesValue.SerializeToString,
    }
    chain: list[Middleware] = [named, status.map_errors, AnswerWriter(FairByteBudget(BUDGET)), reader]
    MiddlewareServer(server, chain).add_registered_method_handlers(
        "test.Maker",
        {
            "One": grpc.unary_unary_rpc_method_handler(maker.one, **forms),
            "Many": grpc.unary_stream_rpc_method_handler(maker.many, **forms),
        },
    )
    maker.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield maker
    await server.stop(0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_unread_answers_leave_a_share_to_others(maker: Maker) -> None:
    raw = await RawConnection.open(maker.port)
    try:
        ask_unread(raw, ONE, range(1, 2 * UNREAD + 5, 2), ANSWER)
        refused = {(await raw.ended_any())[0] for _ in range(2)}
        assert len(refused) == 2
        assert maker.made == UNREAD + 2
        with pytest.raises(FacerecError) as caught:
            await maker.ask(ANSWER, "unread")
        assert caught.value.reason is Reason.OVERLOADED
        assert await maker.ask(ANSWER, "other") == ANSWER
    finally:
        raw.close()


async def test_small_answers_have_room_beside_any_that_are_unread(maker: Maker) -> None:
    raw = await RawConnection.open(maker.port)
    try:
        ask_unread(raw, ONE, range(1, 2 * UNREAD + 5, 2), ANSWER)
        await raw.ended_any()
        assert await maker.ask(UNCOUNTED_BYTES - 10, "unread") == UNCOUNTED_BYTES - 10
    finally:
        raw.close()


@pytest.mark.parametrize("path", [ONE, MANY])
async def test_answers_of_a_caller_that_hangs_up_free_their_bytes(maker: Maker, path: bytes) -> None:
    for _ in range(3):
        raw = await RawConnection.open(maker.port)
        before = maker.made
        ask_unread(raw, path, range(1, 2 * UNREAD, 2), ANSWER)
        await until(lambda before=before: maker.made >= before + UNREAD)  # type: ignore[misc]
        raw.close()

    async def answered() -> bool:
        try:
            return await maker.ask(BUDGET // 2, "unread") == BUDGET // 2
        except FacerecError:
            return False

    async with asyncio.timeout(LIMIT_SECONDS):
        while not await answered():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_streams_whose_answers_are_unread_leave_a_share_to_others(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "WAIT_SECONDS", 0.2)
    raw = await RawConnection.open(maker.port)
    try:
        ask_unread(raw, MANY, range(1, 2 * UNREAD + 5, 2), ANSWER)
        refused = {(await raw.ended_any())[0] for _ in range(2)}
        assert len(refused) == 2
        assert await maker.ask(ANSWER, "other") == ANSWER
    finally:
        raw.close()


async def test_answers_that_are_read_are_counted_no_more(maker: Maker) -> None:
    for _ in range(2 * BUDGET // ANSWER):
        assert await maker.ask(ANSWER, "reader") == ANSWER
