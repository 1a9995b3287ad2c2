"""A short form of the race: four runs of maintenance, and two without a trigger."""

from tests.soak import sketches


def test_no_search_misses_a_person_while_sketches_are_built_dropped_and_scrubbed() -> None:
    outcome = sketches.race(4)
    assert outcome.clean and outcome.changes > 16 and outcome.searches, outcome


def test_the_race_finds_faces_written_without_their_sketches() -> None:
    assert sketches.race(1, planted=True).missed
