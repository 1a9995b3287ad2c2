"""What a matcher remembers of the primary's positions, by its own clock."""

import dataclasses

import pytest

from matcher_service.postgres.standbys.history import SPACING_SECONDS, PositionHistory
from matcher_service.postgres.standbys.positions import Position

FIRST = Position(system=7, database="facerec", timeline=2, lsn=1000, flushed=True)


class Clock(PositionHistory):
    """A history whose clock stands still until it is set."""

    time = 0.0

    def now(self) -> float:
        return self.time

    def learn(self, time: float, lsn: int, timeline: int = 2) -> None:
        """Remember a position that was asked for at a time."""
        self.time = time
        self.add(time, dataclasses.replace(FIRST, lsn=lsn, timeline=timeline))

    def lsn_within(self, seconds: float) -> int | None:
        position = self.within(seconds)
        return None if position is None else position.lsn


@pytest.fixture
def history() -> Clock:
    """Positions 1000, 1010, ... of the times 0, 1, ... 100."""
    history = Clock(60)
    for second in range(101):
        history.learn(second, 1000 + 10 * second)
    return history


@pytest.mark.parametrize(
    ("seconds", "lsn"), [(0, 2000), (0.5, 2000), (1, 1990), (30.5, 1700), (60, 1400), (1000, 1400)]
)
def test_a_read_needs_the_oldest_position_that_was_asked_for_within_its_bound(
    history: Clock, seconds: float, lsn: int
) -> None:
    assert history.lsn_within(seconds) == lsn


def test_a_position_is_of_use_until_it_is_older_than_the_bound(history: Clock) -> None:
    history.time = 110
    assert (history.lsn_within(10), history.lsn_within(9.999)) == (2000, None)


def test_many_positions_of_a_moment_are_remembered_by_few() -> None:
    history = Clock(60)
    for number in range(10_000):
        history.learn(number / 1000, 1000 + number)
    assert len(history._times) <= 10 / SPACING_SECONDS + 2
    for bound in (0.5, 2.0, 9.0):
        lsn = history.lsn_within(bound)
        assert lsn is not None
        assert 9999 - 1000 * bound <= lsn - 1000 <= 9999 - 1000 * (bound - 2 * SPACING_SECONDS)
    assert history.lsn_within(0) == 10_999


def test_positions_of_another_timeline_are_forgotten(history: Clock) -> None:
    history.learn(101, 500, timeline=3)
    assert (history.lsn_within(60), history.newest) == (500, dataclasses.replace(FIRST, lsn=500, timeline=3))


@pytest.mark.parametrize(("lsn", "seconds"), [(5000, 1.0), (2000, 1.0), (1999, 2.0), (1400, 61.0)])
def test_an_answer_is_as_old_as_the_last_position_that_it_has(
    history: Clock, lsn: int, seconds: float
) -> None:
    history.time = 101
    assert history.staleness_seconds(lsn) == seconds
    assert history.staleness_seconds(1399) == float("inf")


def test_nothing_is_known_before_the_primary_was_reached() -> None:
    history = PositionHistory(60)
    assert (history.within(60), history.newest, history.staleness_seconds(5000)) == (None, None, float("inf"))


def test_the_clock_of_a_history_goes_forward() -> None:
    history = PositionHistory(60)
    times = [history.now() for _ in range(100)]
    assert times == sorted(times)
