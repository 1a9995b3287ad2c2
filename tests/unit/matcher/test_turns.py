"""Tries of one caller against one person are made one after another, and only so many wait."""

import asyncio

import pytest

from matcher_service.domain.errors import TriesExhausted
from matcher_service.identification.failed_tries import MAX_WAITING, KeyedLocks

ANN, BEN = ("default", "ann", "door"), ("default", "ben", "door")


async def test_one_waits_for_the_other_and_nobody_for_another_person() -> None:
    turns = KeyedLocks()
    await turns.acquire(ANN)
    await turns.acquire(BEN)
    second = asyncio.ensure_future(turns.acquire(ANN))
    await asyncio.sleep(0)
    assert not second.done()
    turns.release(ANN)
    await second


async def test_too_many_that_wait_are_refused_and_told_when_to_come_again() -> None:
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


async def test_whoever_gives_up_waiting_leaves_the_turn_to_the_next() -> None:
    turns = KeyedLocks()
    await turns.acquire(ANN)
    gone, next_one = (asyncio.ensure_future(turns.acquire(ANN)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    turns.release(ANN)
    await next_one
    turns.release(ANN)
    await turns.acquire(ANN)
