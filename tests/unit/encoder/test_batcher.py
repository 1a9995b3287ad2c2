"""A batch holds the items that queued while the last one ran, and each item has its own result."""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, wait

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoder_service.domain.errors import ModelUnavailable, Overloaded
from encoder_service.embedding.batcher import Batcher
from tests.fixtures.waiting import LIMIT_SECONDS


class Doubling:
    """Doubles numbers while its gate is open; negative ones spoil their batch. Records every batch run."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.started = threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.started.set()
        assert self.gate.wait(LIMIT_SECONDS)
        self.batches.append(list(items))
        if any(item < 0 for item in items):
            raise ValueError("negative")
        return [2 * item for item in items]


def batcher_of(run: Doubling, *, max_batch: int = 4, capacity: int = 1000) -> Batcher[int, int]:
    return Batcher(run, max_batch=max_batch, capacity=capacity, name="test")


def hold(batcher: Batcher[int, int], run: Doubling) -> Future[int]:
    """Occupy the network with one item, so that what follows queues."""
    (future,) = batcher.submit([1_000_000])
    assert run.started.wait(LIMIT_SECONDS)
    return future


def in_turn(groups: Sequence[Sequence[int]]) -> list[int]:
    """One item of each group, and again, while any has some."""
    left, order = deque(deque(group) for group in groups if group), list[int]()
    while left:
        group = left.popleft()
        order.append(group.popleft())
        if group:
            left.append(group)
    return order


def expected_batches(items: Sequence[int], max_batch: int) -> list[list[int]]:
    """What is run for the items that queued: full batches in order, a spoilt one again item by item."""
    batches: list[list[int]] = []
    for begin in range(0, len(items), max_batch):
        batch = list(items[begin : begin + max_batch])
        batches.append(batch)
        if len(batch) > 1 and any(item < 0 for item in batch):
            batches += [[item] for item in batch]
    return batches


@settings(max_examples=100, deadline=None)
@given(
    groups=st.lists(st.lists(st.integers(-5, 500), max_size=9), max_size=9),
    gone=st.sets(st.integers(0, 80)),
    max_batch=st.integers(1, 8),
    closing=st.booleans(),
)
def test_queued_items_run_in_full_batches_and_each_has_its_own_result(
    groups: list[list[int]], gone: set[int], max_batch: int, closing: bool
) -> None:
    run = Doubling()
    batcher = batcher_of(run, max_batch=max_batch)
    held = hold(batcher, run)
    futures = [future for group in groups for future in batcher.submit(group)]
    items = [item for group in groups for item in group]
    cancelled = {index for index in gone if index < len(futures) and futures[index].cancel()}

    closer = threading.Thread(target=batcher.close)
    if closing:  # what waits is finished all the same
        closer.start()
    run.gate.set()
    wait(futures, timeout=LIMIT_SECONDS)

    assert held.result(LIMIT_SECONDS) == 2_000_000
    for index, (item, future) in enumerate(zip(items, futures, strict=True)):
        if index in cancelled:
            assert future.cancelled()
        elif item < 0:
            assert isinstance(future.exception(LIMIT_SECONDS), ValueError)
        else:
            assert future.result(LIMIT_SECONDS) == 2 * item
    numbers = iter(range(len(items)))
    order = in_turn([[next(numbers) for _ in group] for group in groups])
    left = [items[index] for index in order if index not in cancelled]
    assert run.batches[1:] == expected_batches(left, max_batch)
    if not closing:
        closer.start()
    closer.join(LIMIT_SECONDS)
    assert not closer.is_alive()


def test_a_single_item_runs_at_once() -> None:
    run = Doubling()
    run.gate.set()
    batcher = batcher_of(run)
    assert batcher.submit([3])[0].result(LIMIT_SECONDS) == 6  # no second one comes to fill the batch
    batcher.close()


def test_items_beyond_the_queue_are_refused_at_once_with_a_delay_and_none_is_queued() -> None:
    run = Doubling()
    batcher = batcher_of(run, max_batch=2, capacity=5)
    hold(batcher, run)
    kept = batcher.submit([1, 2, 3])
    with pytest.raises(Overloaded) as caught:
        batcher.submit([4, 5, 6])  # while the network is held: a wait for it would never end
    assert caught.value.retry_after_seconds is not None and caught.value.retry_after_seconds > 0
    kept += batcher.submit([7, 8])
    run.gate.set()
    assert [future.result(LIMIT_SECONDS) for future in kept] == [2, 4, 6, 14, 16]
    assert run.batches[1:] == [[1, 7], [2, 8], [3]]
    batcher.close()


def test_a_single_face_is_in_the_next_batch_however_many_faces_others_have() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    hold(batcher, run)
    crowd = batcher.submit(range(100, 150))
    (lone,) = batcher.submit([1])
    run.gate.set()
    assert lone.result(LIMIT_SECONDS) == 2
    wait(crowd, timeout=LIMIT_SECONDS)
    assert 1 in run.batches[1]
    batcher.close()


def test_as_many_batches_run_at_once_as_there_are_threads() -> None:
    both_run = threading.Barrier(2)

    def run(items: Sequence[int]) -> Sequence[int]:
        both_run.wait(LIMIT_SECONDS)
        return items

    batcher = Batcher(run, max_batch=2, capacity=10, name="test", threads=2)
    futures = batcher.submit([1, 2, 3, 4])
    assert [future.result(LIMIT_SECONDS) for future in futures] == [1, 2, 3, 4]
    assert batcher.close(LIMIT_SECONDS)


def test_a_closed_batcher_refuses_new_items() -> None:
    run = Doubling()
    run.gate.set()
    batcher = batcher_of(run)
    batcher.close()
    with pytest.raises(ModelUnavailable):
        batcher.submit([1])


def test_closing_waits_no_longer_than_its_timeout() -> None:
    run = Doubling()
    batcher = batcher_of(run)
    held = hold(batcher, run)
    assert not batcher.close(0.05)
    run.gate.set()
    assert batcher.close(LIMIT_SECONDS)
    assert held.result(0) == 2_000_000


def test_a_function_that_loses_results_fails_its_items_instead_of_mixing_them_up() -> None:
    batcher: Batcher[int, int] = Batcher(lambda items: [0], max_batch=2, capacity=10, name="test")
    futures = batcher.submit([1, 2])
    outcomes = [future.exception(LIMIT_SECONDS) or future.result() for future in futures]
    # As a pair they got one result: neither takes it. Alone, each gets its own.
    assert outcomes == [0, 0]
    batcher.close()
