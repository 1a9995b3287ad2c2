"""Collections that come and go beside others, in small."""

import asyncio

from tests.soak.matcher import calls, tenants
from tests.soak.matcher.stack import Stack


def test_creating_and_deleting_collections_keeps_no_other_tenant_waiting() -> None:
    with Stack.open(*tenants.FLAGS) as stack:
        seen = asyncio.run(tenants.crowd(stack.addresses, stack.database_url, others=24, seconds=2.0))
        assert not stack.events("internal_error")
    for phase in (seen.quiet, seen.busy, seen.quiet_again):
        assert not phase.failures
        assert not phase.waits
    assert len(seen.churn.deleted) > 3
    assert not seen.churn.wrong
    assert not [answer for answer in seen.churn.racing if not answer.calm]
    codes = {answer.code for answer in seen.churn.racing}
    assert calls.OK in codes
    quiet = max(phase.milliseconds(99) for phase in (seen.quiet, seen.quiet_again))
    assert seen.busy.milliseconds(99) < 10 * quiet + 100
