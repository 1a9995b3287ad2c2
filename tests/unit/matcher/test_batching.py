"""Requests that wait together run together, and each has its own fate."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from prometheus_client import REGISTRY

from facerec.errors import FacerecError
from facerec.serving.middleware import call
from facerec.serving.middleware.caller import Caller
from matcher_service.domain.errors import CollectionNotFound, Overloaded, PersonFull, SchemaChanged
from matcher_service.postgres.batch import MAX_PASSES
from matcher_service.postgres.batching import Batcher

COLLECTION = "default"
OVERLOADING = 1000


class Doubling:
    """Doubles numbers, batch by batch as `gate` is opened; negative ones spoil their batch."""

    def __init__(self) -> None:
        self.gate = asyncio.Semaphore(0)
        self.batches: list[list[int]] = []
        self.callers: list[set[str]] = []
        self.cancelled = 0
        self.seconds_left: list[float] = []

    async def __call__(self, collection_id: str, items: Sequence[int], callers: frozenset[str]) -> list[int]:
        del collection_id
        self.batches.append(list(items))
        self.callers.append(set(callers))
        self.seconds_left.append(call.remaining_seconds(1000))
        try:
            await self.gate.acquire()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if OVERLOADING in items:
            raise Overloaded("too much", retry_after_seconds=1.0)
        if any(item < 0 for item in items):
            raise ValueError("negative")
        return [2 * item for item in items]

    def open(self, batches: int = 1000) -> None:
        for _ in range(batches):
            self.gate.release()


def batcher_of(run: Doubling, *, max_batch: int = 4, wait_seconds: float = 30) -> Batcher[str, int, int]:
    return Batcher(run, max_batch=max_batch, wait_seconds=wait_seconds, kind="call")


async def submitted(
    batcher: Batcher[str, int, int],
    *items: int,
    caller: str = "ann",
    collection_id: str = COLLECTION,
    deadline_seconds: float | None = None,
) -> list["asyncio.Task[int]"]:
    """Submit items in calls of their own, and let them come as far as they come."""

    async def one(item: int) -> int:
        call.begin(()).caller = Caller(caller)
        if deadline_seconds is not None:
            call.set_deadline(deadline_seconds)
        return await batcher.submit(collection_id, item)

    tasks = [asyncio.create_task(one(item)) for item in items]
    await settle()
    return tasks


async def settle() -> None:
    for _ in range(2 * MAX_PASSES):
        await asyncio.sleep(0)


async def outcomes(tasks: Sequence[Awaitable[int]]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_queues_while_a_batch_runs_goes_together() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    tasks = await submitted(batcher, 1)
    tasks += await submitted(batcher, 2, 3, 4, 5, 6, 7)
    run.open()
    assert await outcomes(tasks) == [2, 4, 6, 8, 10, 12, 14]
    assert run.batches == [[1], [2, 3, 4, 5], [6, 7]]


async def test_what_comes_in_the_next_passes_of_the_loop_goes_with_the_first() -> None:
    run = Doubling()
    run.open()
    batcher = batcher_of(run)

    async def later(item: int, passes: int) -> int:
        for _ in range(passes):
            await asyncio.sleep(0)
        return await batcher.submit(COLLECTION, item)

    assert await outcomes([later(1, 0), later(2, 2), later(3, 4)]) == [2, 4, 6]
    assert run.batches == [[1, 2, 3]]


async def test_callers_fill_a_batch_in_turn() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    tasks = await submitted(batcher, 0)
    tasks += await submitted(batcher, 1, 2, 3, 4, 5, caller="ann")
    tasks += await submitted(batcher, 11, 12, caller="bob")
    run.open()
    await outcomes(tasks)
    assert run.batches == [[0], [1, 11, 2, 12], [3, 4, 5]]
    assert run.callers == [{"ann"}, {"ann", "bob"}, {"ann"}]


async def test_another_collections_requests_wait_for_nothing() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    tasks = await submitted(batcher, 1)
    tasks += await submitted(batcher, 2, collection_id="other")
    assert run.batches == [[1], [2]]
    run.open()
    assert await outcomes(tasks) == [2, 4]


async def test_one_that_cannot_be_answered_fails_alone() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    first = await submitted(batcher, 1)
    tasks = await submitted(batcher, 2, -3, 4)
    run.open()
    found = await outcomes(first + tasks)
    assert found[:2] + found[3:] == [2, 4, 8]
    assert isinstance(found[2], ValueError)
    assert run.batches == [[1], [2, -3, 4], [2], [-3], [4]]
    assert run.callers[2:] == [set(), set(), set()]  # in their own calls


async def test_a_lone_one_that_fails_is_not_run_again() -> None:
    run = Doubling()
    run.open()
    (found,) = await outcomes(await submitted(batcher_of(run), -1))
    assert isinstance(found, ValueError)
    assert run.batches == [[-1]]


@pytest.mark.parametrize("error", [CollectionNotFound(), PersonFull(3, field="person_id"), SchemaChanged()])
async def test_a_lone_one_gets_its_error_whatever_its_constructor_takes(error: FacerecError) -> None:
    ran = 0

    async def fail(collection_id: str, items: Sequence[int], callers: frozenset[str]) -> list[int]:
        nonlocal ran
        del collection_id, items, callers
        ran += 1
        raise error

    batcher = Batcher(fail, max_batch=4, wait_seconds=30, kind="call")
    with pytest.raises(type(error)) as caught:
        await (await submitted(batcher, 1))[0]
    assert ran == 1
    assert caught.value is not error
    assert vars(caught.value) == vars(error)
    assert str(caught.value) == str(error)


async def test_a_caller_who_hangs_up_is_left_out_and_harms_nobody() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    first, waiting = await submitted(batcher, 1), await submitted(batcher, 2, 3, 4)
    waiting[1].cancel()
    run.open(1)
    await settle()
    assert run.batches == [[1], [2, 4]]
    waiting[0].cancel()
    run.open()
    found = await outcomes(first + waiting)
    assert [found[0], found[3]] == [2, 8]
    assert not run.cancelled


async def test_a_batch_is_cancelled_once_all_of_its_callers_have_gone() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    tasks = await submitted(batcher, 1)
    tasks[0].cancel()
    await outcomes(tasks)
    await settle()
    assert run.cancelled == 1
    run.open()
    assert await outcomes(await submitted(batcher, 2)) == [4]


async def test_a_wait_ends_with_half_of_what_the_deadline_leaves() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    first = await submitted(batcher, 1)
    (late,) = await submitted(batcher, 2, deadline_seconds=0.02)
    with pytest.raises(Overloaded, match="too many concurrent calls"):
        await late
    run.open()
    assert await outcomes(first) == [2]
    assert run.batches == [[1]]


async def test_a_batch_may_wait_as_long_as_its_most_patient_caller() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    tasks = await submitted(batcher, 1, deadline_seconds=60)
    tasks += await submitted(batcher, 2, deadline_seconds=30)
    tasks += await submitted(batcher, 3, deadline_seconds=60)
    run.open(1)
    await settle()
    tasks += await submitted(batcher, 4, deadline_seconds=60)
    tasks += await submitted(batcher, 5)
    run.open()
    await outcomes(tasks)
    assert run.batches == [[1], [2, 3], [4, 5]]
    alone, together, unlimited = run.seconds_left
    assert 30 < alone <= 60
    assert 30 < together <= 60
    assert unlimited == 1000


async def test_an_overloaded_batch_is_not_run_again_request_by_request() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    tasks = await submitted(batcher, 1)
    tasks += await submitted(batcher, 2, OVERLOADING, 3)
    run.open()
    found = await outcomes(tasks)
    assert found[0] == 2
    assert all(isinstance(each, Overloaded) for each in found[1:])
    assert len(set(map(id, found[1:]))) == 3
    assert run.batches == [[1], [2, OVERLOADING, 3]]


async def test_as_many_batches_run_at_once_as_may() -> None:
    run = Doubling()
    batcher = Batcher(run, max_batch=2, max_running=2, wait_seconds=30, kind="call")
    tasks = await submitted(batcher, *range(6))
    assert run.batches == [[0, 1], [2, 3]]
    run.open()
    assert await outcomes(tasks) == [0, 2, 4, 6, 8, 10]


async def test_a_request_is_refused_at_once_where_the_batches_ahead_take_too_long() -> None:
    run = Doubling()
    batcher = batcher_of(run, max_batch=1, wait_seconds=0.05)
    tasks = await submitted(batcher, 1)
    await asyncio.sleep(1)  # so long does a batch take
    tasks += await submitted(batcher, 2)
    run.open(1)
    await tasks[0]
    tasks += await submitted(batcher, 3)
    batcher.check_capacity("other")
    with pytest.raises(Overloaded):
        batcher.check_capacity(COLLECTION)
    (refused,) = await submitted(batcher, 4)
    assert isinstance(refused.exception(), Overloaded)
    run.open()
    await outcomes(tasks)


async def test_nothing_is_kept_of_requests_that_have_ended() -> None:
    run = Doubling()
    run.open()
    batcher = batcher_of(run)
    await outcomes(await submitted(batcher, *range(20)))
    await outcomes(await submitted(batcher, -1, 1, collection_id="other"))
    (refused,) = await submitted(batcher, 1, deadline_seconds=0)
    assert isinstance(refused.exception(), Overloaded)
    await settle()
    assert not batcher._queues
    assert REGISTRY.get_sample_value("facerec_matcher_waiting", {"kind": "call"}) == 0
