"""Callers use a pool's threads in turn, and work without a waiting caller ends."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future

import pytest

from encoder_service.domain import cancellation
from encoder_service.domain.cancellation import Cancelled
from encoder_service.pipeline.thread_pool import FairThreadPool


class Held:
    """Work that blocks until it is released; records its name when it begins."""

    def __init__(self, began: list[str]) -> None:
        self._began = began
        self.started = threading.Event()
        self.gate = threading.Event()

    def named(self, name: str) -> Callable[[], str]:
        def work() -> str:
            self._began.append(name)
            self.started.set()
            assert self.gate.wait(20)
            return name

        return work


@pytest.fixture
async def pool() -> AsyncIterator[FairThreadPool]:
    opened = FairThreadPool("test", 1)
    yield opened
    assert await asyncio.to_thread(opened.close, 20)


async def waiting(
    pool: FairThreadPool, caller: str, work: Callable[[], str], on_behalf_of: str = ""
) -> "asyncio.Task[str]":
    """A task that is queued when this returns."""
    task = asyncio.create_task(pool.run(caller, work, on_behalf_of=on_behalf_of))
    await asyncio.sleep(0)  # one turn of the loop takes it there
    return task


async def test_a_callers_flood_leaves_every_second_thread_to_another(pool: FairThreadPool) -> None:
    began: list[str] = []
    held = Held(began)
    tasks = [await waiting(pool, "flood", held.named(f"flood-{number}")) for number in range(5)]
    tasks += [await waiting(pool, "other", held.named(f"other-{number}")) for number in range(2)]
    held.gate.set()
    assert await asyncio.gather(*tasks) == [f"flood-{n}" for n in range(5)] + ["other-0", "other-1"]
    assert began == ["flood-0", "flood-1", "other-0", "flood-2", "other-1", "flood-3", "flood-4"]


async def test_sub_callers_share_their_callers_threads_in_turn_and_get_no_more(
    pool: FairThreadPool,
) -> None:
    began: list[str] = []
    held = Held(began)
    first = await waiting(pool, "matcher", held.named("first"))
    tasks = [await waiting(pool, "matcher", held.named(f"x-{number}"), "x") for number in range(3)]
    tasks += [await waiting(pool, "matcher", held.named(f"y-{number}"), "y") for number in range(2)]
    tasks += [await waiting(pool, "other", held.named(f"other-{number}")) for number in range(2)]
    held.gate.set()
    await asyncio.gather(first, *tasks)
    assert began == ["first", "x-0", "other-0", "y-0", "other-1", "x-1", "y-1", "x-2"]


async def test_a_caller_that_hangs_up_while_waiting_takes_no_thread(pool: FairThreadPool) -> None:
    began: list[str] = []
    held = Held(began)
    first = await waiting(pool, "a", held.named("first"))
    gone = await waiting(pool, "b", held.named("gone"))
    last = await waiting(pool, "a", held.named("last"))
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    held.gate.set()
    assert [await first, await last] == ["first", "last"]
    assert began == ["first", "last"]
    assert await pool.run("c", lambda: "free again") == "free again"


async def test_a_thread_given_to_a_caller_that_hangs_up_goes_to_the_next(pool: FairThreadPool) -> None:
    held = Held([])
    first = await waiting(pool, "a", held.named("first"))
    gone = await waiting(pool, "b", held.named("gone"))
    last = await waiting(pool, "c", held.named("last"))
    first.add_done_callback(lambda _: gone.cancel())
    held.gate.set()
    await first
    await asyncio.gather(gone, return_exceptions=True)
    assert await last == "last"


async def test_running_work_ends_at_its_next_check_when_its_caller_hangs_up(pool: FairThreadPool) -> None:
    held, ended = Held([]), threading.Event()

    def work() -> str:
        held.named("work")()
        try:
            cancellation.check()
        except Cancelled:
            ended.set()
            raise
        return "never"

    task = asyncio.create_task(pool.run("a", work))
    assert await asyncio.to_thread(held.started.wait, 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    held.gate.set()
    assert await asyncio.to_thread(ended.wait, 20)


async def test_cancelled_work_cancels_what_it_waits_for(pool: FairThreadPool) -> None:
    elsewhere: Future[str] = Future()
    started = threading.Event()

    def work() -> str:
        started.set()
        return cancellation.wait_for(elsewhere)

    task = asyncio.create_task(pool.run("a", work))
    assert await asyncio.to_thread(started.wait, 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await pool.run("b", elsewhere.cancelled)


def test_outside_of_cancellable_work_a_check_does_nothing() -> None:
    cancellation.check()
