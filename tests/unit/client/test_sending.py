"""Calls that send many requests, whose iterator fails, never ends or is abandoned."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

import numpy as np
import pytest

from facerec.client import AsyncEncoderClient, AsyncMatcherClient, EncoderClient, FaceBatch, MatcherClient
from facerec.errors import FacerecError, Reason
from tests.fixtures.waiting import LIMIT_SECONDS
from tests.unit.client.flaky import OVERLOADED, FlakyEncoder, PagedMatcher, serving

GOOD = FaceBatch(np.zeros((1, 128), np.float32), ["ann"])
NARROW = FaceBatch(np.zeros((2, 64), np.float32), ["ann", "bob"])
REFUSED = FaceBatch(np.zeros((1, 128), np.float32), ["nobody"])
IMAGE = ("a", b"image")

T = TypeVar("T")


class PhotoMissing(BaseException):
    """Of no kind that anything on the way may catch."""


class Given(Generic[T]):
    """Items in either form, then the fault or, where there is none, a wait without end or the end.

    Knows what took them: a task or a thread.
    """

    def __init__(self, *items: T, fault: BaseException | None = None, waits: bool = False) -> None:
        self._items = items
        self._fault = fault
        self._waits = waits
        self.waiting = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None

    async def __aiter__(self) -> AsyncIterator[T]:
        self._task = asyncio.current_task()
        for item in self._items:
            yield item
        await asyncio.sleep(0)
        self.waiting.set()
        if self._waits:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise self._fault or asyncio.CancelledError from None
        if self._fault:
            raise self._fault

    def __iter__(self) -> Iterator[T]:
        self._thread = threading.current_thread()
        yield from self._items
        if self._fault:
            raise self._fault

    async def left(self) -> None:
        """Wait until nothing takes items any more."""
        if self._task:
            await asyncio.wait_for(asyncio.wait([self._task]), LIMIT_SECONDS)
        if self._thread:
            await asyncio.to_thread(self._thread.join, LIMIT_SECONDS)
            assert not self._thread.is_alive()


@pytest.mark.parametrize("fault", [FileNotFoundError("b.jpg"), PhotoMissing()])
@pytest.mark.parametrize("images", [[], [IMAGE]])
async def test_images_that_fail_are_the_callers_own_exception(
    images: list[tuple[str, bytes]], fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = FlakyEncoder(seconds=0.05)
    given = Given(*images, fault=fault)
    async with serving(encoder=encoder) as server, AsyncEncoderClient(server.address) as client:
        await client.encode(b"image")  # connected
        with pytest.raises(type(fault)) as caught:
            async for _ in client.encode_stream(given):
                pass
        assert caught.value is fault
        await given.left()
        if images:
            await asyncio.wait_for(encoder.ended.wait(), LIMIT_SECONDS)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("fault", [FileNotFoundError("b.jpg"), PhotoMissing()])
@pytest.mark.parametrize("images", [[], [IMAGE]])
async def test_images_that_fail_are_the_blocking_callers_own_exception(
    images: list[tuple[str, bytes]], fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = FlakyEncoder(seconds=0.05)
    given = Given(*images, fault=fault)

    def encode() -> None:
        with EncoderClient(server.address) as client:
            client.encode(b"image")
            with pytest.raises(type(fault)) as caught:
                list(client.encode_stream(given))
        assert caught.value is fault

    async with serving(encoder=encoder) as server:
        await asyncio.wait_for(asyncio.to_thread(encode), LIMIT_SECONDS)
        await given.left()
        if images:
            await asyncio.wait_for(encoder.ended.wait(), LIMIT_SECONDS)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("batches", [[NARROW], [GOOD, NARROW]])
async def test_a_batch_of_another_shape_is_invalid(batches: list[FaceBatch]) -> None:
    for_async, for_sync = Given(*batches), Given(*batches)
    async with serving() as server:
        async with AsyncMatcherClient(server.address) as client:
            with pytest.raises(FacerecError) as from_async:
                await client.import_faces(for_async, space="s", import_id="i")
            await for_async.left()
        with MatcherClient(server.address) as sync_client, pytest.raises(FacerecError) as from_sync:
            await asyncio.to_thread(sync_client.import_faces, for_sync, space="s", import_id="i")
        await for_sync.left()
    for error in (from_async.value, from_sync.value):
        assert (error.reason, error.field) == (Reason.ENCODING_INVALID, "chunk.encodings")


async def test_batches_are_imported_and_a_refusal_is_the_services() -> None:
    async with serving(matcher=PagedMatcher(OVERLOADED)) as server:
        async with AsyncMatcherClient(server.address) as client:
            report = await client.import_faces(Given(GOOD, GOOD), space="s", import_id="i")
            assert report.faces_added == 2
        with MatcherClient(server.address) as blocking:
            call = asyncio.to_thread(blocking.import_faces, [GOOD, GOOD], space="s", import_id="i")
            assert (await call).faces_added == 2
            with pytest.raises(FacerecError, match="busy") as caught:
                await asyncio.to_thread(blocking.import_faces, [REFUSED], space="s", import_id="i")
            assert caught.value.field == OVERLOADED.field


async def test_a_call_that_ended_does_not_wait_for_further_batches() -> None:
    given = Given(REFUSED, waits=True)
    async with serving() as server, AsyncMatcherClient(server.address) as client:
        with pytest.raises(FacerecError, match="busy"):
            await client.import_faces(given, space="s", import_id="i")
        await given.left()


async def test_a_refusal_is_the_services_while_batches_are_being_sent() -> None:
    async def batches() -> AsyncIterator[FaceBatch]:
        yield REFUSED
        while True:
            yield GOOD
            await asyncio.sleep(0)

    async with serving() as server, AsyncMatcherClient(server.address) as client:
        for _ in range(100):  # gRPC says INTERNAL in the place of one in ten
            with pytest.raises(FacerecError, match="busy") as caught:
                await client.import_faces(batches(), space="s", import_id="i")
            assert caught.value.field == OVERLOADED.field


async def test_a_stream_that_is_no_longer_read_ends() -> None:
    encoder, given = FlakyEncoder(), Given(IMAGE, waits=True)
    async with serving(encoder=encoder) as server, AsyncEncoderClient(server.address) as client:
        outcomes = client.encode_stream(given)
        assert (await anext(outcomes))[0] == "a"
        await outcomes.aclose()  # type: ignore[attr-defined]
        await given.left()
        await asyncio.wait_for(encoder.ended.wait(), LIMIT_SECONDS)


async def test_a_cancelled_caller_gets_the_cancellation_even_if_its_images_fail_too() -> None:
    encoder, given = FlakyEncoder(), Given(IMAGE, waits=True, fault=FileNotFoundError("b.jpg"))
    async with serving(encoder=encoder) as server, AsyncEncoderClient(server.address) as client:

        async def encode() -> None:
            async for _ in client.encode_stream(given):
                pass

        task = asyncio.create_task(encode())
        await given.waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await given.left()
        await asyncio.wait_for(encoder.ended.wait(), LIMIT_SECONDS)
