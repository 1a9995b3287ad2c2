"""A byte budget that callers share, and the order in which they wait for it."""

import asyncio

import pytest

from facerec.errors import FacerecError, Reason
from facerec.serving.fairness import byte_budget
from facerec.serving.fairness.byte_budget import FairByteBudget, Reservation

SIZE = 8_000_000
LARGE = 2_000_000


async def full() -> tuple[FairByteBudget, list[Reservation]]:
    """A budget whose bytes four callers hold."""
    shared = FairByteBudget(SIZE)
    held = [Reservation(shared, f"holder{number}") for number in range(4)]
    for reservation in held:
        reservation.take(LARGE)
    return shared, held


def wait(shared: FairByteBudget, owner: str, order: list[str]) -> "asyncio.Task[None]":
    async def waits() -> None:
        reservation = Reservation(shared, owner)
        await reservation.wait(LARGE, 60)
        order.append(owner)
        reservation.release()

    return asyncio.create_task(waits())


async def test_callers_who_wait_for_bytes_take_turns() -> None:
    shared, held = await full()
    order: list[str] = []
    tasks = [wait(shared, owner, order) for owner in ("flood", "flood", "flood", "other")]
    await asyncio.sleep(0)
    held[0].release()
    await asyncio.gather(*tasks)
    assert order == ["flood", "other", "flood", "flood"]


async def test_a_limited_number_of_messages_of_one_caller_wait_for_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(byte_budget, "MAX_WAITING", 2)
    shared, held = await full()
    order: list[str] = []
    tasks = [wait(shared, "flood", order) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(FacerecError) as caught:
        await Reservation(shared, "flood").wait(LARGE, 60)
    assert caught.value.reason is Reason.OVERLOADED
    other = wait(shared, "other", order)
    await asyncio.sleep(0)
    held[0].release()
    await asyncio.gather(*tasks, other)


async def test_a_message_that_is_given_up_leaves_its_turn_to_the_next() -> None:
    shared, held = await full()
    order: list[str] = []
    gone, last = wait(shared, "a", order), wait(shared, "a", order)
    await asyncio.sleep(0)
    gone.cancel()
    held[0].release()
    await last
    for reservation in held:
        reservation.release()
    Reservation(shared, "b").take(SIZE)  # all of it is there again
