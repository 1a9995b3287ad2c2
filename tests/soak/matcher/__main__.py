"""Soak the matcher: print what was seen, and end with 1 when any of it is wrong.

Without arguments all parts run; `kills`, `outages` and `tenants` name some of them.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping

from tests.soak.matcher import outage, report, tenants
from tests.soak.matcher.endurance import FLAGS, Outcome, Plan, run_plan
from tests.soak.matcher.ledger import Fault
from tests.soak.matcher.planted import ForgetfulCaller
from tests.soak.matcher.stack import MATCHER, Stack

SOAK = Plan(kills=50, enrollments=30_000)
EARLY = Plan(kills=4, enrollments=1_500)
FORGETFUL = Plan(kills=4, enrollments=1_500, caller=ForgetfulCaller)
OUTAGES = 10
DOWN_SECONDS = 1.5
OTHERS = 996  # collections, besides the steady tenants: a thousand
PHASE_SECONDS = 15.0
RECOVERY_SECONDS = 2.0  # most between Postgres accepting connections and every replica deciding
NOISE = 2.0  # most times the quiet p99 ...
NOISE_MILLISECONDS = 20.0  # ... and a little more, which the work of creating and deleting takes by itself


def outcome(plan: Plan, module: str = MATCHER) -> Outcome:
    """Run a plan over a stack of its own."""
    with Stack.open(*FLAGS, module=module) as stack:
        return run_plan(plan, stack)


def kills() -> bool:
    """Enroll under kills, and see that two planted faults are found."""
    seen = [
        ("as released", outcome(SOAK)),
        ("planted: acknowledges early", outcome(EARLY, "tests.soak.matcher.planted")),
        ("planted: forgets request ids", outcome(FORGETFUL)),
    ]
    report.outcomes(seen)
    released, early, forgetful = (result for _, result in seen)
    fine = released.clean and max(released.recoveries) < RECOVERY_SECONDS
    return fine and bool(early.stored.counts[Fault.LOST] and forgetful.stored.counts[Fault.STORED_TWICE])


def outages() -> bool:
    """Kill Postgres under every kind of call, and exhaust a pool."""
    with Stack.open(*outage.FLAGS) as stack:
        asyncio.run(outage.prepare(stack))
        seen = [outage.outage(stack, down_seconds=DOWN_SECONDS) for _ in range(OUTAGES)]
        refused = asyncio.run(outage.exhaust(stack))
        internal_errors = stack.events("internal_error")
    report.outages(seen, refused, outage.DEADLINE_SECONDS)
    recovered = all(max(one.recoveries) < RECOVERY_SECONDS for one in seen)
    answered = all(outage.refused_in_time(answer) for answer in refused)
    return recovered and answered and all(one.as_expected for one in seen) and not internal_errors


def crowd() -> bool:
    """Create and delete collections among a thousand."""
    with Stack.open(*tenants.FLAGS) as stack:
        seen = asyncio.run(
            tenants.crowd(stack.addresses, stack.database_url, others=OTHERS, seconds=PHASE_SECONDS)
        )
        internal_errors = stack.events("internal_error")
    report.tenants(seen)
    quiet = max(seen.quiet.milliseconds(99), seen.quiet_again.milliseconds(99))
    unnoticed = seen.busy.milliseconds(99) <= NOISE * quiet + NOISE_MILLISECONDS
    return unnoticed and seen.as_expected and not internal_errors


PARTS: Mapping[str, Callable[[], bool]] = {"tenants": crowd, "outages": outages, "kills": kills}


def main(names: list[str]) -> int:
    """Run the parts named and return the exit code."""
    if unknown := set(names) - PARTS.keys():
        print(f"error: there is no part {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    wrong = [name for name in names or PARTS if not PARTS[name]()]
    print(f"wrong: {', '.join(wrong)}" if wrong else "nothing is wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
