"""The tables that `make soak-matcher` prints."""

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.soak.matcher.endurance import Outcome
from tests.soak.matcher.ledger import Fault

RECOVERY_SECONDS = 2.0  # most between Postgres accepting connections and every replica deciding

_console = Console(width=150)


def outcomes(seen: Sequence[tuple[str, Outcome]]) -> None:
    """What came of enrolling under kills: a column a run, and what SQL and the API say of each fault."""
    table = Table("", *(name for name, _ in seen), title="Enrolments under kill -9")
    rows = {
        "kills": [", ".join(f"{n} {what}" for what, n in one.kills.items()) for _, one in seen],
        "enrolments acknowledged": [f"{one.ledger.enrolments:,}" for _, one in seen],
        "faces of them": [f"{len(one.ledger.entries):,}" for _, one in seen],
        "calls made again after an answer": [f"{one.ledger.replays:,}" for _, one in seen],
        "attempts without an answer": [f"{sum(one.ledger.retries.values()):,}" for _, one in seen],
        **{
            f"faces {fault.value}, by SQL / by API": [
                f"{one.stored.counts[fault]} / {one.listed.counts[fault]}" for _, one in seen
            ]
            for fault in Fault
        },
        "enrolments answered unlike at first": [str(len(one.ledger.unlike)) for _, one in seen],
        "errors no caller should see": [str(one.errors) for _, one in seen],
        "recovery, median / most": [recoveries(one.recoveries) for _, one in seen],
        "seconds": [f"{one.seconds:.0f}" for _, one in seen],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    _console.print(table)
    for name, one in seen:
        for words in (*one.stored.words, *map(str, one.ledger.surprises.items()), *one.internal_errors[:3]):
            _console.print(f"{name}: {words}", highlight=False)


def recoveries(seconds: Sequence[float]) -> str:
    """How soon after Postgres accepted connections the replicas decided again."""
    return f"{statistics.median(seconds):.2f} / {max(seconds):.2f} s"
