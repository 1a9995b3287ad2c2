"""Postgres away under load, in small."""

import asyncio

from tests.soak.matcher import outage
from tests.soak.matcher.stack import Stack


def test_an_outage_is_told_as_one_and_a_full_pool_as_one_and_both_pass() -> None:
    with Stack.open(*outage.FLAGS) as stack:
        asyncio.run(outage.prepare(stack))
        seen = outage.outage(stack, down_seconds=0.7)
        assert seen.calm, [answer for answer in seen.down + seen.others if not answer.calm]
        assert max(seen.recoveries) < 2
        refused = asyncio.run(outage.exhaust(stack))
        assert not [answer for answer in refused if not outage.refused_in_time(answer)]
        assert not stack.events("internal_error")
