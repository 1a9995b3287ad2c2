"""An outage of Postgres under load, in a short form."""

import asyncio

import pytest

from tests.fixtures.waiting import LIMIT_SECONDS
from tests.soak.matcher import calls, outage
from tests.soak.matcher.stack import Stack

PATIENT = ("--lock-timeout-seconds", "60", "--statement-timeout-seconds", "60")
DEADLINE_SECONDS = 30.0


def test_an_outage_and_a_full_pool_each_have_their_own_error_and_both_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls, "CALL_SECONDS", LIMIT_SECONDS)
    with Stack.open(*outage.FLAGS, *PATIENT) as stack:
        asyncio.run(outage.prepare(stack))
        seen = outage.outage(stack, down_seconds=0.7)
        assert seen.as_expected, [answer for answer in seen.down + seen.others if not answer.as_expected]
        refused = asyncio.run(outage.exhaust(stack, DEADLINE_SECONDS))
        assert not [each for each in refused if not outage.refused_in_time(each, DEADLINE_SECONDS)]
        assert not stack.events("internal_error")
