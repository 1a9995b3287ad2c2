"""A short form of the soak: three kills."""

from tests.soak import imports

FACES = 24_000


def test_an_import_under_kills_loses_nothing_and_stores_nothing_twice() -> None:
    outcome = imports.attempt(FACES, 3)
    assert (outcome.stored, outcome.lost, outcome.stored_twice) == (FACES, 0, 0), outcome
    assert outcome.wrong_means == 0
    assert sum(outcome.kills.values()) == 3
    assert outcome.report["next_row"] == FACES
    of_the_last_run = outcome.report["faces_added"] + outcome.report["faces_already_there"]
    assert outcome.report["first_row"] + of_the_last_run == FACES
