"""Tries of one caller against one person run one after another, and a limited number waits."""

import asyncio

import pytest

from matcher_service.domain.errors import TriesExhausted
from matcher_service.identification.failed_tries import MAX_WAITING, KeyedLocks

ANN, BEN = ("default", "ann", "door"), ("default", "ben", "door")


async def test_tries_against_one_person_wait_for_each_other_and_for_no_other_person() -> None:
    turns = KeyedLocks()
    await turns.acquire(ANN)
    await turns.acquire(BEN)
    second = asyncio.ensure_future(turns.acquire(ANN))
    await asyncio.sleep(0)
    assert not second.done()
    turns.release(ANN)
    await second


async def test_requests_beyond_the_queue_are_refused_with_a_time_to_retry() -> None:
    turns = KeyedLocks()
    await turns.acquire(ANN)
    waiting = [asyncio.ensure_future(turns.acquire(ANN)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(TriesExhausted) as caught:
        await turns.acquire(ANN)
    assert caught.value.retry_after_seconds
    for each in waiting:
        turns.release(ANN)
        await each


async def test_a_caller_that_gives_up_waiting_leaves_its_place_to_the_next() -> None:
    turns = KeyedLocks()
    await turns.acquire(ANN)
    gone, next_one = (asyncio.ensure_future(turns.acquire(ANN)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    turns.release(ANN)
    await next_one
    turns.release(ANN)
    await turns.acquire(ANN)
