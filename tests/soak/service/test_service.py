"""Short forms of the long runs: the same code over one stack with both services."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.waiting import LIMIT_SECONDS
from tests.soak.service import endurance, faults, hostile, load, rolling
from tests.soak.service.stack import Stack

# For callers to notice on a busy machine too, and to see when they have come back.
FLAGS = ("--drain-seconds", "3", "--log-calls", "all")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack.open(matcher=FLAGS, encoder=FLAGS) as opened:
        yield opened
        assert not opened.internal_errors()


@pytest.fixture(scope="module")
def photo(sample_photos: Path) -> Path:
    return sample_photos / "obama.jpg"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a call takes is judged by the long runs."""
    monkeypatch.setattr(load, "CALL_SECONDS", LIMIT_SECONDS)


def test_no_call_fails_while_a_replica_is_replaced(stack: Stack, photo: Path) -> None:
    found = rolling.roll(stack, photo, times=1, calm_seconds=0.3, pause_seconds=0.15, until_called=True)
    assert found.replaced == 4
    assert found.passed, found
    assert found.enrolled > 5


@pytest.mark.parametrize(
    "name", ["matcher killed", "database connections reset", "lock held, pool exhausted"]
)
def test_a_fault_is_survived_without_a_wrong_answer(stack: Stack, photo: Path, name: str) -> None:
    found = faults.inject(stack, faults.FAULTS[name], photo, seconds=1.5)
    assert found.correct, found


def test_invalid_frames_affect_neither_the_service_nor_its_callers(stack: Stack) -> None:
    found = hostile.attack(stack, frames=500, idle=50, quiet_seconds=1.0, aside=False)
    assert found.alive
    assert found.intact
    assert not found.failures
    assert not found.internal_errors


def test_a_sustainable_rate_is_found(stack: Stack, photo: Path) -> None:
    found = endurance.pace(stack, photo, share=0.5, workers=4, seconds=0.5)
    assert found.saturated_rate > 0
    assert found.rate > 0


def test_a_load_is_answered_completely_and_leaks_no_file(stack: Stack, photo: Path) -> None:
    found = endurance.run(stack, photo, seconds=4.0, workers=2, pause_seconds=0.02)
    assert found.calls > 0
    assert (found.failures.total(), found.wrong, found.lost) == (0, 0, 0)
    for process in found.processes:
        first, most = process.files
        assert most <= first + 10, process
