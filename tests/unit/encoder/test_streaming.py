"""Items of a stream are answered separately, and a slow reader causes no backlog."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from encoder_service.api.streaming import answer_each
from tests.fixtures.waiting import LIMIT_SECONDS


async def numbers(count: int, read: list[int]) -> AsyncIterator[int]:
    for number in range(count):
        read.append(number)
        yield number


async def settle() -> None:
    """Let every task go on until it waits for another: none of them waits for the clock."""
    for _ in range(1000):
        await asyncio.sleep(0)


async def test_every_item_is_answered_once_as_it_finishes() -> None:
    async def answer(number: int) -> int:
        await asyncio.sleep(0.02 * (number % 3))
        return number

    answers = [each async for each in answer_each(numbers(20, []), answer, window=4)]
    assert sorted(answers) == list(range(20))
    assert answers != sorted(answers)


async def test_no_more_items_are_read_than_the_window_while_nobody_takes_answers() -> None:
    read: list[int] = []

    async def answer(number: int) -> int:
        return number

    answers = answer_each(numbers(100, read), answer, window=5)
    assert await anext(answers) in range(5)
    await settle()
    assert len(read) == 5
    assert await anext(answers) in range(6)
    await settle()
    assert len(read) == 6
    await answers.aclose()  # type: ignore[attr-defined]


async def test_a_stream_that_breaks_ends_the_answers_with_its_error() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ConnectionError("gone")

    async def answer(number: int) -> int:
        return number

    with pytest.raises(ConnectionError):
        [each async for each in answer_each(broken(), answer, window=2)]


async def test_a_consumer_that_leaves_stops_the_work() -> None:
    cancelled = asyncio.Event()

    async def answer(number: int) -> int:
        if number == 0:
            return 0
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return number

    answers = answer_each(numbers(10, []), answer, window=3)
    assert await anext(answers) == 0
    await answers.aclose()  # type: ignore[attr-defined]
    await asyncio.wait_for(cancelled.wait(), LIMIT_SECONDS)
