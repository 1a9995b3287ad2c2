"""What an image may cost the encoder, in small."""

import pytest

from tests.soak.hostile import encoder_cost


@pytest.mark.timeout(300)
def test_dear_pictures_are_refused_or_paid_for_and_keep_nobody_elses_photo_waiting() -> None:
    found = encoder_cost.attack(short=True)
    assert [finding.row for finding in found if not finding.holds] == []
    assert len(found) == len(encoder_cost.refused()) + 4
