"""Groups take turns, and an item knows how many are before it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.serving.round_robin import RoundRobinQueue

GROUPS = st.lists(st.sampled_from("abc"), max_size=30)


def filled(groups: list[str]) -> RoundRobinQueue[tuple[str, int]]:
    queue: RoundRobinQueue[tuple[str, int]] = RoundRobinQueue()
    for number, group in enumerate(groups):
        queue.put(group, (group, number))
    return queue


def taken(queue: RoundRobinQueue[tuple[str, int]]) -> list[tuple[str, int]]:
    return [queue.take() for _ in range(len(queue))]


@given(GROUPS)
def test_each_group_keeps_its_order_and_nothing_is_lost(groups: list[str]) -> None:
    order = taken(filled(groups))
    assert sorted(order, key=lambda each: each[1]) == list(zip(groups, range(len(groups)), strict=True))
    for group in set(groups):
        numbers = [number for each, number in order if each == group]
        assert numbers == sorted(numbers)


@given(GROUPS)
def test_between_two_of_a_group_comes_one_of_each_other_that_waits(groups: list[str]) -> None:
    order = [group for group, _ in taken(filled(groups))]
    for group in set(groups):
        places = [place for place, each in enumerate(order) if each == group]
        for first, second in itertools.pairwise(places):
            between = order[first + 1 : second]
            assert len(between) == len(set(between))
            assert set(between) <= set(order[first + 1 :]) - {group}


@given(GROUPS, st.sampled_from("abcd"))
def test_as_many_are_taken_before_a_new_item_as_were_said_to_be_ahead(groups: list[str], group: str) -> None:
    queue = filled(groups)
    ahead = queue.ahead_of(group)
    queue.put(group, ("new", -1))
    assert taken(queue).index(("new", -1)) == ahead


def test_nothing_is_taken_of_an_empty_queue() -> None:
    with pytest.raises(IndexError):
        RoundRobinQueue[int]().take()
