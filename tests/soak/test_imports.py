"""A short form of the soak: three kills."""

import pytest

from tests.soak import imports


@pytest.mark.timeout(120)
def test_an_import_under_kills_loses_and_doubles_nothing() -> None:
    outcome = imports.attempt(60_000, 3, pause_seconds=(0.8, 1.5))
    assert (outcome.stored, outcome.lost, outcome.doubled) == (60_000, 0, 0), outcome
    assert outcome.wrong_means == 0
    assert sum(outcome.kills.values()) == 3
    assert outcome.report["faces_added"] + outcome.report["faces_already_there"] == 60_000
