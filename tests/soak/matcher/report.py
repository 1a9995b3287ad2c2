"""The tables that `make soak-matcher` prints."""

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.soak.matcher.endurance import Outcome
from tests.soak.matcher.ledger import Fault

RECOVERY_SECONDS = 2.0  # most between Postgres accepting connections and every replica deciding

_console = Console(width=140)


def outcomes(seen: Sequence[tuple[str, Outcome]]) -> None:
    """What came of enrolling under kills, a row a run."""
    table = Table("run", "kills", "acknowledged", "faces", title="Enrolments under kill -9")
    for fault in Fault:
        table.add_column(fault.value, justify="right")
    for name in ("replays", "answered unlike", "other errors", "recovery median / most"):
        table.add_column(name, justify="right")
    for name, outcome in seen:
        ledger = outcome.ledger
        kills = ", ".join(f"{count} {what}" for what, count in outcome.kills.items())
        faults = [
            f"{outcome.faults[fault]}"
            + (f" ({outcome.api_faults[fault]} by the API)" if outcome.faults else "")
            for fault in Fault
        ]
        recoveries = outcome.recoveries
        table.add_row(
            name,
            kills,
            f"{ledger.enrolments:,}",
            f"{len(ledger.entries):,}",
            *faults,
            str(ledger.replays),
            str(len(ledger.unlike)),
            str(sum(ledger.surprises.values()) + len(outcome.internal_errors)),
            f"{statistics.median(recoveries):.2f} / {max(recoveries):.2f} s",
        )
    _console.print(table)
    for name, outcome in seen:
        retried = ", ".join(f"{count} {reason}" for reason, count in outcome.ledger.retries.most_common())
        _console.print(f"{name}: {outcome.seconds:.0f} s; attempts without an answer: {retried}")
        if outcome.ledger.surprises or outcome.internal_errors:
            _console.print(f"  {dict(outcome.ledger.surprises)} {outcome.internal_errors[:3]}")
