"""Which messages have their fields counted, and which callers wait for it."""

import asyncio

import pytest

from facerec.errors import FacerecError
from facerec.matcher.v1 import matcher_pb2
from facerec.serving.fairness.queue_semaphore import FairQueueSemaphore
from facerec.serving.middleware.chain import Method
from facerec.serving.middleware.reading import fields
from facerec.serving.middleware.reading.parser import Parser

MANY = matcher_pb2.IdentifyRequest.FromString
PARSES = b"\x5d" + bytes(4)  # a field of a number of four bytes, which is none of the request's
LONG = PARSES * (fields.MAX_COUNT - 100)
PHOTO = matcher_pb2.IdentifyRequest(probes=[matcher_pb2.Probe(image=bytes(5_000_000))]).SerializeToString()


@pytest.fixture
def turns() -> FairQueueSemaphore:
    return FairQueueSemaphore(1, 1, 1000)


@pytest.fixture
def parser(turns: FairQueueSemaphore) -> Parser:
    return Parser(Method("/test/Identify", False, False, MANY, bytes), turns)


async def test_a_photo_waits_for_nobody(parser: Parser, turns: FairQueueSemaphore) -> None:
    await turns.acquire("flood")
    async with asyncio.timeout(5):
        await parser.check(PHOTO, "other")
    assert len(parser(PHOTO).probes) == 1


async def test_callers_whose_messages_have_many_fields_take_turns(
    parser: Parser, turns: FairQueueSemaphore
) -> None:
    order: list[str] = []

    async def check(owner: str) -> None:
        await parser.check(LONG, owner)
        order.append(owner)

    await turns.acquire("first")
    tasks = [asyncio.create_task(check(owner)) for owner in ("flood", "flood", "flood", "other")]
    await asyncio.sleep(0)
    assert not order
    turns.release("first")
    await asyncio.gather(*tasks)
    assert order == ["flood", "other", "flood", "flood"]


async def test_others_go_on_while_fields_are_counted(parser: Parser) -> None:
    counting = asyncio.create_task(parser.check(LONG, "flood"))
    rounds = 0
    while not counting.done():
        await asyncio.sleep(0)
        rounds += 1
    await counting
    assert rounds > fields.MAX_COUNT // fields.SLICE_FIELDS // 2


async def test_a_message_that_is_refused_leaves_the_turn_to_the_next(parser: Parser) -> None:
    for _ in range(2):
        async with asyncio.timeout(5):
            with pytest.raises(FacerecError, match="fields"):
                await parser.check(PARSES * (2 * fields.MAX_COUNT), "flood")
