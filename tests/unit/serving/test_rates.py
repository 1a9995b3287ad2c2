"""Token buckets enforce a rate, whatever a call costs and under concurrency."""

import time

import pytest

from facerec.serving.auth.rates import TokenBucket


class Clock:
    """A clock that its test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_bucket_lets_its_burst_through_and_then_its_rate(clock: Clock) -> None:
    bucket = TokenBucket(2.0, 3)
    assert [bucket.try_take() for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now += 0.5
    assert [bucket.try_take() for _ in range(2)] == [0, 0.5]


def test_a_call_dearer_than_the_burst_passes_a_full_bucket_and_is_paid_for_afterwards(clock: Clock) -> None:
    bucket = TokenBucket(2.0, 4)
    assert bucket.try_take(10) == 0
    assert bucket.try_take() == 3.5  # from six below zero to one
    clock.now += 3.5
    assert bucket.try_take() == 0
    assert bucket.try_take(10) == 2.0  # until it is full
    clock.now += 2.0
    assert bucket.try_take(10) == 0


def test_what_a_call_took_before_counts_for_the_rest_of_it(clock: Clock) -> None:
    bucket = TokenBucket(2.0, 4)
    assert bucket.try_take() == 0
    assert bucket.try_take(15, already_charged=1) == 0, "the call alone took from a full bucket"
    clock.now += 8.0
    assert bucket.try_take() == 0
    assert bucket.try_take() == 0, "another call beside it"
    assert bucket.try_take(15, already_charged=1) == 1.0
    clock.now += 1.0
    assert bucket.try_take() == 0
    assert bucket.try_take(15, already_charged=1) == 0


def test_of_calls_at_once_that_are_dearer_than_the_burst_one_passes_at_the_most(clock: Clock) -> None:
    bucket = TokenBucket(1.0, 5)
    passed = [bucket.try_take(20) == 0 for _ in range(10)]
    assert passed == [True] + [False] * 9


def test_a_cost_may_be_a_part_of_one(clock: Clock) -> None:
    bucket = TokenBucket(1.0, 1)
    assert [bucket.try_take(0.25) for _ in range(5)] == [0, 0, 0, 0, 0.25]
