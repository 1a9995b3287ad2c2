"""What one tenant of a matcher leaves of the encoder to another, in small."""

import pytest

from tests.soak.hostile import encoder_sharing


@pytest.mark.timeout(300)
def test_a_tenants_photo_waits_for_a_few_images_of_another_tenant_and_not_for_all() -> None:
    found = encoder_sharing.attack(short=True)
    assert [finding.row for finding in found if not finding.holds] == []
