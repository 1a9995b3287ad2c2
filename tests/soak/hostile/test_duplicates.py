"""One face under several ids, in small."""

from tests.soak.hostile import duplicates


def test_no_call_bypasses_a_policy_that_refuses_duplicates() -> None:
    found = duplicates.attack(short=True)
    assert len(found) == 5
    assert not [finding.figure for finding in found if not finding.holds]
