"""What a part of the check found: rows, which it prints as lines of JSON for the command that started it."""

import dataclasses
import json
from typing import Literal

Verdict = Literal["ok", "FAILED", "missed", "skipped", ""]
"""FAILED breaks a promise, missed a goal of speed; "" is a figure without a goal."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure or an outcome, what it is of, and its verdict."""

    part: str
    what: str
    figure: str
    verdict: Verdict = ""
    note: str = ""

    def report(self) -> None:
        """Print it as a line of JSON."""
        print(json.dumps(dataclasses.asdict(self)), flush=True)

    def against(self, goal: float, figure: float) -> "Row":
        """The row with a verdict on its figure, a rate, and a note that names the goal."""
        verdict: Verdict = "ok" if figure >= goal else "missed"
        return dataclasses.replace(self, verdict=verdict, note=f"goal {goal:,.0f}")


def not_run(part: str, what: str, error: Exception, *, promised: bool) -> Row:
    """The row of what a device could not do."""
    reason = f"{type(error).__name__}: {error}"[:200]
    return Row(part, what, "not run", "FAILED" if promised else "missed", reason)
