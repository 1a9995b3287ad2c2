"""A call without a deadline gets one, and the work for it ends with it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

import facerec.encoder.v1 as pb
from facerec.serving.middleware import call as present_call
from facerec.serving.server.server import Server, ServerOptions, Service
from tests.fixtures.waiting import LIMIT_SECONDS

MOST_SECONDS = 0.3
CAP_SECONDS = 10 * LIMIT_SECONDS


class Slow(pb.EncoderServiceServicer):
    """Answers when its test says so, and records whose work was cancelled."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.answer = asyncio.Event()
        self.dropped = asyncio.Event()
        self.remaining_seconds = 0.0

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        self.remaining_seconds = present_call.remaining_seconds(CAP_SECONDS)
        self.began.set()
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.dropped.set()
            raise
        return pb.GetModelResponse(name="slow")

    async def DetectFaces(self, request: pb.DetectFacesRequest, context: Any) -> pb.DetectFacesResponse:
        raise TimeoutError("the handler's own")


@pytest.fixture
def servicer() -> Slow:
    return Slow()  # type: ignore[abstract]


@contextlib.asynccontextmanager
async def serving(servicer: Slow, max_call_seconds: float) -> AsyncIterator[Any]:
    name = "facerec.encoder.v1.EncoderService"
    service = Service(name, lambda server: pb.add_EncoderServiceServicer_to_server(servicer, server))
    options = ServerOptions("127.0.0.1:0", grace_seconds=0.1, max_call_seconds=max_call_seconds)
    server = Server(options, [service])
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield pb.EncoderServiceStub(channel)
    await server.stop()


@pytest.fixture
async def stub(servicer: Slow) -> AsyncIterator[Any]:
    async with serving(servicer, MOST_SECONDS) as made:
        yield made


async def test_a_call_without_a_deadline_ends_after_the_maximum_time_of_a_call(
    stub: Any, servicer: Slow
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetModel(pb.GetModelRequest())
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "0.3 s" in (caught.value.details() or "")
    await asyncio.wait_for(servicer.dropped.wait(), LIMIT_SECONDS)


async def test_a_callers_own_deadline_may_be_longer(stub: Any, servicer: Slow) -> None:
    call = asyncio.create_task(_ask(stub))
    await servicer.began.wait()
    await asyncio.sleep(2 * MOST_SECONDS)
    assert not call.done()
    servicer.answer.set()
    assert (await call).name == "slow"


async def test_a_handler_knows_how_long_its_caller_waits(servicer: Slow) -> None:
    servicer.answer.set()
    async with serving(servicer, LIMIT_SECONDS) as stub:
        await stub.GetModel(pb.GetModelRequest(), timeout=LIMIT_SECONDS)
        assert 0 < servicer.remaining_seconds < 2 * LIMIT_SECONDS  # gRPC rounds a deadline up
        await stub.GetModel(pb.GetModelRequest())
        assert servicer.remaining_seconds == CAP_SECONDS


async def test_a_callers_deadline_cancels_the_work(stub: Any, servicer: Slow) -> None:
    for seconds in (0.1, 1, 10):  # until one has come as far as the work
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetModel(pb.GetModelRequest(), timeout=seconds)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if servicer.began.is_set():
            break
    await asyncio.wait_for(servicer.dropped.wait(), LIMIT_SECONDS)


async def test_a_caller_that_hangs_up_cancels_the_work(stub: Any, servicer: Slow) -> None:
    call = stub.GetModel(pb.GetModelRequest(), timeout=LIMIT_SECONDS)
    await servicer.began.wait()
    call.cancel()
    await asyncio.wait_for(servicer.dropped.wait(), LIMIT_SECONDS)


async def test_a_handlers_own_timeout_is_not_taken_for_the_callers(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.DetectFaces(pb.DetectFacesRequest(), timeout=LIMIT_SECONDS)
    assert caught.value.code() is grpc.StatusCode.INTERNAL


async def _ask(stub: Any) -> Any:
    return await stub.GetModel(pb.GetModelRequest(), timeout=LIMIT_SECONDS)
