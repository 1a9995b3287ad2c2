"""The soak in a short form: nothing goes wrong, and deliberate faults are detected."""

import dataclasses

from tests.soak.matcher.endurance import FLAGS, Outcome, Plan, run_plan
from tests.soak.matcher.ledger import Fault
from tests.soak.matcher.planted import ForgetfulCaller
from tests.soak.matcher.stack import MATCHER, Stack

PLAN = Plan(kills=3, enrollments=300)
PLANTED = Plan(kills=2, enrollments=180)
EARLY = "tests.soak.matcher.planted"


def outcome(plan: Plan, module: str = MATCHER) -> Outcome:
    with Stack.open(*FLAGS, module=module) as stack:
        return run_plan(plan, stack)


def test_under_kills_no_enrollment_is_lost_stored_twice_or_misplaced() -> None:
    seen = outcome(PLAN)
    assert seen.clean, repr(seen)
    assert seen.ledger.enrollments >= PLAN.enrollments
    assert sum(seen.ledger.retries.values()), "no call was ever in the way of a kill"
    assert len(seen.recoveries) == 2


def test_an_acknowledgement_before_the_commit_is_detected_as_a_loss() -> None:
    assert outcome(PLANTED, EARLY).stored.counts[Fault.LOST]


def test_a_retry_without_its_request_id_is_detected_as_stored_twice() -> None:
    seen = outcome(dataclasses.replace(PLANTED, caller=ForgetfulCaller))
    assert seen.stored.counts[Fault.STORED_TWICE]
    assert not seen.stored.counts[Fault.LOST]
