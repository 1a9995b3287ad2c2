"""A door lets calls in in their order, and whoever is refused hears why, in time."""

import asyncio
import time
from typing import get_args

import pytest

from matcher_service import deadline
from matcher_service.admission import Admission, Kind
from matcher_service.errors import Overloaded


async def hold(door: Admission, until: asyncio.Event) -> None:
    async with door.turn():
        await until.wait()


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_a_refusal_says_of_what_there_is_too_much(kind: Kind) -> None:
    door, end = Admission(1, 0, wait_seconds=1, kind=kind), asyncio.Event()
    held = asyncio.create_task(hold(door, end))
    await asyncio.sleep(0)
    what = {"scan": "exact searches", "index": "searches", "import": "imports", "export": "exports"}
    with pytest.raises(Overloaded, match=f"^more {what[kind]} are asked for than can be run"):
        await hold(door, end)
    end.set()
    await held


async def test_those_who_wait_are_let_in_in_their_order() -> None:
    door, came = Admission(1, 3, wait_seconds=60, kind="scan"), list[int]()

    async def call(number: int) -> None:
        async with door.turn():
            came.append(number)
            await asyncio.sleep(0.01)

    calls = [asyncio.create_task(call(number)) for number in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        door.check_room()
    await asyncio.gather(*calls)
    assert came == [0, 1, 2, 3]
    door.check_room()


async def test_whoever_waits_is_refused_while_they_still_listen() -> None:
    door, end = Admission(1, 1, wait_seconds=60, kind="scan"), asyncio.Event()
    held = asyncio.create_task(hold(door, end))
    await asyncio.sleep(0)

    async def hurried() -> None:
        deadline.start(3)
        with pytest.raises(Overloaded):
            await hold(door, end)
        assert deadline.remaining_seconds(3) > 0

    began = time.monotonic()
    await asyncio.create_task(hurried())
    assert time.monotonic() - began > 1.4
    end.set()
    await held
    door.check_room()
