"""A short form of the soak of standbys: one round."""

from tests.soak import standbys

SECONDS = 1.0


def test_no_search_is_stale_and_no_enrollment_lost_while_standbys_break_and_one_is_promoted() -> None:
    outcome = standbys.attempt(seconds=SECONDS)
    assert outcome.passed, outcome
