"""Callers get permits in turn, and a refused caller learns why, in time."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable
from random import Random
from typing import get_args

import pytest

from facerec.serving.middleware import call
from facerec.serving.middleware.caller import Caller
from matcher_service.admission import FairSemaphore, Kind, three_quarters_of
from matcher_service.domain.errors import Overloaded


class Line:
    """Requests of named callers; `served` lists them in the order of their permits."""

    def __init__(self, gate: FairSemaphore) -> None:
        self.gate = gate
        self.served: list[str] = []
        self.holds: list[asyncio.Event] = []

    async def _ask(self, name: str, deadline_seconds: float | None) -> None:
        call.begin(()).caller = Caller(name)
        if deadline_seconds is not None:
            call.set_deadline(deadline_seconds)
        async with self.gate.permit():
            self.served.append(name)
            hold = asyncio.Event()
            self.holds.append(hold)
            await hold.wait()

    async def ask(self, *names: str, deadline_seconds: float | None = None) -> list["asyncio.Task[None]"]:
        """Request a permit for each name; returns once all hold one or wait."""
        tasks = [asyncio.create_task(self._ask(name, deadline_seconds)) for name in names]
        await settle()
        return tasks

    async def end(self, place: int) -> None:
        """End the request that was served at this index."""
        self.holds[place].set()
        await settle()

    async def end_all(self) -> None:
        """End all served requests, and those served next."""
        for place in range(100):
            if place == len(self.holds):
                return
            await self.end(place)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def gate(permits: int, *, wait_seconds: float = 30, share: int | None = None) -> FairSemaphore:
    return FairSemaphore(permits, wait_seconds=wait_seconds, kind="scan", share=share)


async def refused(asking: Awaitable[object]) -> Overloaded:
    with pytest.raises(Overloaded) as caught:
        await asking
    assert caught.value.retry_after_seconds
    return caught.value


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_a_refusal_names_the_exhausted_resource(kind: Kind) -> None:
    line = Line(FairSemaphore(1, wait_seconds=0.01, kind=kind))
    await line.ask("a")
    (second,) = await line.ask("a")
    what = {
        "call": "calls",
        "index": "searches and pages",
        "scan": "exact searches",
        "maintenance": "calibrations and reviews",
        "transfer": "imports and deletions of collections",
        "export": "exports",
        "enroll": "enrollments of this collection",
        "encoder": "images",
        "operation": "requests with a request id that take long",
    }
    assert (await refused(second)).message.startswith(f"too many concurrent {what[kind]};")


async def test_one_callers_requests_are_served_in_their_order() -> None:
    free, came = gate(1), list[int]()

    async def numbered(number: int) -> None:
        async with free.permit():
            came.append(number)
            await settle()

    await asyncio.gather(*(numbered(number) for number in range(5)))
    assert came == list(range(5))


async def test_callers_are_served_in_turn_however_many_requests_one_of_them_sends() -> None:
    line = Line(gate(1))
    await line.ask(*["flood"] * 6, "b", "b", "c")
    await line.end_all()
    assert line.served == ["flood", "flood", "b", "c", "flood", "b", "flood", "flood", "flood"]


async def test_the_next_permit_goes_to_the_caller_that_holds_the_fewest() -> None:
    line = Line(gate(4))
    await line.ask("a", "a", "a", "b")
    await line.ask("a", "a", "b", "b")
    await line.end(0)
    assert line.served[4:] == ["b"]
    await line.end(1)
    assert line.served[4:] == ["b", "a"]
    await line.end_all()
    assert sorted(line.served) == ["a"] * 5 + ["b"] * 3


async def test_one_caller_leaves_the_rest_of_its_share_to_others() -> None:
    line = Line(gate(4, share=three_quarters_of(4)))
    await line.ask(*["flood"] * 10)
    assert line.served == ["flood"] * 3
    await line.ask("b")
    assert line.served == ["flood"] * 3 + ["b"]
    await line.end_all()
    assert sorted(line.served) == ["b"] + ["flood"] * 10


async def test_a_request_is_refused_at_once_if_those_before_it_take_too_long() -> None:
    line = Line(gate(2, wait_seconds=10))
    line.gate._service_seconds = 4.0
    held = await line.ask("flood", "flood")
    waiting = await line.ask(*["flood"] * 6)  # five before it take 10 s
    (late,) = await line.ask("flood")
    error = await refused(late)
    assert error.retry_after_seconds == pytest.approx(12)
    (other,) = await line.ask("b")  # of the flood one is before it
    (hurried,) = await line.ask("c", deadline_seconds=1)  # 2 before it, of 4 s each on 2 permits
    await refused(hurried)
    line.gate._service_seconds = 0.0
    await line.end_all()
    await asyncio.gather(*held, *waiting, other)


async def test_a_queue_has_no_limit_but_time() -> None:
    line = Line(gate(2, wait_seconds=5))
    tasks = await line.ask(*["a"] * 60)
    await line.end_all()
    await asyncio.gather(*tasks)
    assert line.served == ["a"] * 60


async def test_a_waiting_caller_is_refused_before_its_deadline() -> None:
    line = Line(gate(1, wait_seconds=5))
    (held,) = await line.ask("a")
    began = time.monotonic()
    (hurried,) = await line.ask("b", deadline_seconds=1)
    await refused(hurried)
    assert 0.45 < time.monotonic() - began < 1
    await line.end(0)
    await held
    assert not line.gate._callers
    assert not line.gate._waiting


@pytest.mark.parametrize("granted", [False, True])
async def test_a_permit_is_not_lost_with_a_caller_who_hangs_up(granted: bool) -> None:
    line = Line(gate(1))
    (held,) = await line.ask("a")
    (gone,) = await line.ask("b")
    if granted:  # the permit is given and its caller hangs up before it is resumed
        line.holds[0].set()
        await asyncio.sleep(0)  # the holder gives it back
        assert not line.gate._waiting
    gone.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await gone
    line.holds[0].set()
    await held
    (next_,) = await line.ask("c")
    await line.end_all()
    await next_
    assert line.served == ["a", "c"]
    assert not line.gate._callers


async def test_a_free_permit_is_taken_without_leaving_the_event_loop() -> None:
    free = gate(1)
    acquiring = free.acquire()
    with pytest.raises(StopIteration) as acquired:
        acquiring.send(None)
    free.release(acquired.value.value, 0.1)
    assert free._service_seconds > 0


@pytest.mark.parametrize("seed", range(50))
async def test_no_permit_is_lost_whenever_callers_hang_up(seed: int) -> None:
    random = Random(seed)
    tested = gate(4, share=3, wait_seconds=random.choice([0.001, 0.01, 1]))

    async def ask() -> None:
        call.begin(()).caller = Caller(random.choice("abc"))
        with contextlib.suppress(Overloaded):
            async with tested.permit(long=random.random() < 0.2):
                for _ in range(random.randrange(4)):
                    await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    for _ in range(300):
        tasks.append(asyncio.create_task(ask()))
        if random.random() < 0.5:
            await asyncio.sleep(0)
        for task in tasks[-20:]:
            if random.random() < 0.08:
                task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in ended} <= {type(None), asyncio.CancelledError}
    call.begin(()).caller = Caller("a")
    free = [tested.acquire() for _ in range(3)]
    await asyncio.wait_for(asyncio.gather(*free), 30)
    call.begin(()).caller = Caller("d")
    await asyncio.wait_for(tested.acquire(), 30)
    with pytest.raises(Overloaded):
        call.set_deadline(0.02)
        await tested.acquire()
