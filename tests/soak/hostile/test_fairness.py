"""One tenant's flood beside another's calls, in small."""

from tests.soak.hostile import fairness


def test_no_call_of_one_tenant_is_refused_while_another_floods() -> None:
    found = fairness.attack(short=True)
    assert len(found) == 6
    assert not [finding.figure for finding in found if not finding.holds]
