"""Run the attacks that are named, or all: `make soak-hostile`, or `python -m tests.soak.hostile NAME ...`."""

import importlib
import sys

from tests.soak.hostile.report import HEAD, CheckResult

ATTACKS: tuple[str, ...] = (
    "duplicates",
    "egress",
    "encoder_cost",
    "encoder_sharing",
    "erasure",
    "fairness",
    "flood",
    "scores",
    "sources",
    "template",
    "terminal",
)
"""Modules of this package.

Each has `attack(*, short: bool) -> list[CheckResult]`; a test runs its short form.
"""


def main(names: list[str]) -> int:
    """Print a row a figure; returns 1 where a promise was not kept."""
    unknown = [name for name in names if name not in ATTACKS]
    if unknown:
        print(f"no such attack: {', '.join(unknown)}; there are {', '.join(ATTACKS)}", file=sys.stderr)
        return 2
    found: list[CheckResult] = []
    print(HEAD, flush=True)
    for name in names or ATTACKS:
        for finding in importlib.import_module(f"tests.soak.hostile.{name}").attack(short=False):
            found.append(finding)
            print(finding.row, flush=True)
    return int(not all(finding.holds for finding in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
