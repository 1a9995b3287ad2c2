"""Collections created and deleted beside others, in a short form."""

import asyncio

import pytest

from tests.fixtures.waiting import LIMIT_SECONDS
from tests.soak.matcher import calls, tenants
from tests.soak.matcher.stack import Stack


def test_creating_and_deleting_collections_delays_no_other_tenant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls, "CALL_SECONDS", LIMIT_SECONDS)
    with Stack.open(*tenants.FLAGS) as stack:
        seen = asyncio.run(tenants.crowd(stack.addresses, stack.database_url, others=24, seconds=1.5))
        assert not stack.events("internal_error")
    assert seen.as_expected, repr(seen)
    assert len(seen.churn.deleted) >= len(tenants.CHURNED)
    codes = {answer.code for answer in seen.churn.racing}
    assert calls.OK in codes
