"""The short form: every kind of flood for a second or so."""

from tests.soak.hostile import flood
from tests.soak.hostile.senders import SENDERS


def test_others_are_served_within_the_stated_memory_beside_every_kind_of_flood() -> None:
    found = flood.attack(short=True)
    assert len(found) == len(SENDERS)
    assert not [finding.row for finding in found if not finding.holds]
