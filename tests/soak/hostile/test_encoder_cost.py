"""What an image may cost the encoder, with smaller images than `make soak-hostile` sends."""

import pytest

from tests.soak.hostile import costly_structures, encoder_cost


@pytest.mark.timeout(300)
def test_costly_pictures_are_refused_or_charged_and_do_not_delay_other_callers_photos() -> None:
    found = encoder_cost.attack(short=True)
    assert [finding.row for finding in found if not finding.holds] == []
    pictures = len(encoder_cost.refused()) + len(encoder_cost.at_the_limits(short=True))
    files = costly_structures.beyond_the_bounds() + costly_structures.at_the_bounds(64)
    assert len(found) == pictures + 4 + len(files) + 1
