"""The short form of the attack on distances."""

from tests.soak.hostile import scores


def test_a_caller_without_scores_learns_no_distance_by_any_of_the_known_ways() -> None:
    found = scores.attack(short=True)
    assert [finding.row for finding in found if not finding.holds] == []
    assert len(found) == 6
