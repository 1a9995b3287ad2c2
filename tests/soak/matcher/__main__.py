"""Soak the matcher: print what was seen, and end with 1 when any of it is wrong."""

import sys

from tests.soak.matcher import report
from tests.soak.matcher.endurance import FLAGS, Outcome, Plan, endure
from tests.soak.matcher.planted import ForgetfulCaller
from tests.soak.matcher.stack import MATCHER, Stack

SOAK = Plan(kills=50, enrolments=30_000)
EARLY = Plan(kills=4, enrolments=1_500)
FORGETFUL = Plan(kills=4, enrolments=1_500, caller=ForgetfulCaller)


def outcome(plan: Plan, module: str = MATCHER) -> Outcome:
    """Run a plan over a stack of its own."""
    with Stack.open(*FLAGS, module=module) as stack:
        return endure(plan, stack)


def kills() -> bool:
    """Enrol under kills, and see that two planted faults are found."""
    seen = [
        ("as released", outcome(SOAK)),
        ("planted: acknowledges early", outcome(EARLY, "tests.soak.matcher.planted")),
        ("planted: forgets request ids", outcome(FORGETFUL)),
    ]
    report.outcomes(seen)
    released, *planted = (result for _, result in seen)
    fine = released.clean and max(released.recoveries) < report.RECOVERY_SECONDS
    return fine and not any(result.clean for result in planted)


def main() -> int:
    """Return the exit code."""
    return 0 if kills() else 1


if __name__ == "__main__":
    sys.exit(main())
