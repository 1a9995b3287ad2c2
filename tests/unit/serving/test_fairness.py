"""Limited numbers of permits and members: who is next, and who is evicted."""

import asyncio

import pytest

from facerec.errors import FacerecError, Reason
from facerec.serving.fairness.evicting_set import FairEvictingSet
from facerec.serving.fairness.queue_semaphore import FairQueueSemaphore


async def test_one_caller_leaves_permits_to_others() -> None:
    permits = FairQueueSemaphore(4, 3, 10)
    for _ in range(3):
        await permits.acquire("flood")
    fourth = asyncio.create_task(permits.acquire("flood"))
    async with asyncio.timeout(5):
        await permits.acquire("other")
    assert not fourth.done()
    permits.release("flood")
    await fourth


async def test_callers_who_wait_take_turns() -> None:
    permits = FairQueueSemaphore(1, 1, 10)
    await permits.acquire("first")
    order: list[str] = []

    async def work(owner: str) -> None:
        await permits.acquire(owner)
        order.append(owner)
        permits.release(owner)

    tasks = [asyncio.create_task(work(owner)) for owner in ("a", "a", "a", "b", "c")]
    await asyncio.sleep(0)
    permits.release("first")
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c", "a", "a"]


async def test_a_call_that_ends_while_it_waits_takes_no_permit() -> None:
    permits = FairQueueSemaphore(1, 1, 10)
    await permits.acquire("a")
    gone, last = (asyncio.create_task(permits.acquire("b")) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    permits.release("a")
    await last
    late = asyncio.create_task(permits.acquire("c"))
    await asyncio.sleep(0)
    permits.release("b")
    late.cancel()  # in the very moment in which it got one
    await asyncio.gather(late, return_exceptions=True)
    async with asyncio.timeout(5):
        await permits.acquire("d")


async def test_a_permit_is_not_lost_to_a_call_that_is_cancelled_in_the_same_moment() -> None:
    permits = FairQueueSemaphore(1, 1, 10)
    await permits.acquire("a")
    gone = asyncio.create_task(permits.acquire("b"))
    await asyncio.sleep(0)
    gone.cancel()
    permits.release("a")
    await asyncio.gather(gone, return_exceptions=True)
    async with asyncio.timeout(5):
        await permits.acquire("c")


async def test_so_many_calls_of_one_caller_wait_and_no_more() -> None:
    permits = FairQueueSemaphore(1, 1, 2)
    await permits.acquire("a")
    waiting = [asyncio.create_task(permits.acquire("a")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(FacerecError) as caught:
        await permits.acquire("a")
    assert caught.value.reason is Reason.OVERLOADED
    for task in waiting:
        task.cancel()


async def test_newest_first_the_oldest_call_goes_where_too_many_wait() -> None:
    permits = FairQueueSemaphore(1, 1, 2, newest_first=True)
    await permits.acquire("a")
    order: list[str] = []

    async def work(name: str) -> None:
        await permits.acquire("a")
        order.append(name)
        permits.release("a")

    oldest, *others = (asyncio.create_task(work(name)) for name in ("oldest", "older", "newest"))
    with pytest.raises(FacerecError) as caught:
        await oldest
    assert caught.value.reason is Reason.OVERLOADED
    permits.release("a")
    await asyncio.gather(*others)
    assert order == ["newest", "older"]


async def test_a_call_that_is_refused_and_cancelled_in_the_same_moment_gives_back_no_permit() -> None:
    permits = FairQueueSemaphore(1, 1, 1, newest_first=True)
    await permits.acquire("a")
    gone = asyncio.create_task(permits.acquire("a"))
    await asyncio.sleep(0)
    last = asyncio.create_task(permits.acquire("a"))
    await asyncio.sleep(0)  # `gone` is refused, and does not know it yet
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert not last.done()
    permits.release("a")
    await last


def test_the_oldest_member_of_whichever_owner_has_most_is_evicted() -> None:
    members, gone = FairEvictingSet(4), list[str]()

    def add(owner: str, name: str) -> None:
        members.add(owner, name, lambda: gone.append(name))

    add("probe", "p1")
    for number in range(6):
        add("flood", f"f{number}")
    assert gone == ["f0", "f1", "f2"]
    add("other", "o1")
    assert gone == ["f0", "f1", "f2", "f3"]
    members.remove("flood", "f3")  # gone already
    members.remove("probe", "p1")
    add("other", "o2")
    assert len(gone) == 4
