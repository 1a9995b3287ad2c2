"""Collections that come and go beside others, in small."""

import asyncio

from tests.soak.matcher import calls, tenants
from tests.soak.matcher.stack import Stack


def test_creating_and_deleting_collections_keeps_no_other_tenant_waiting() -> None:
    with Stack.open(*tenants.FLAGS) as stack:
        seen = asyncio.run(tenants.crowd(stack.addresses, stack.database_url, others=24, seconds=1.5))
        assert not stack.events("internal_error")
    assert seen.calm, repr(seen)
    assert len(seen.churn.deleted) > 3
    codes = {answer.code for answer in seen.churn.racing}
    assert calls.OK in codes
    quiet = max(phase.milliseconds(99) for phase in (seen.quiet, seen.quiet_again))
    assert seen.busy.milliseconds(99) < 10 * quiet + 100
