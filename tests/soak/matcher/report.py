"""The tables that `make soak-matcher` prints."""

import collections
import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.soak.matcher.calls import Answer
from tests.soak.matcher.endurance import Outcome
from tests.soak.matcher.ledger import Fault
from tests.soak.matcher.outage import Outage
from tests.soak.matcher.tenants import Seen

_console = Console(width=150)


def outcomes(seen: Sequence[tuple[str, Outcome]]) -> None:
    """The outcome of enrolling under kills: a column a run, and what SQL and the API say of each fault."""
    table = Table("", *(name for name, _ in seen), title="Enrollments under kill -9")
    rows = {
        "kills": [", ".join(f"{n} {what}" for what, n in one.kills.items()) for _, one in seen],
        "enrollments acknowledged": [f"{one.ledger.enrollments:,}" for _, one in seen],
        "faces of them": [f"{len(one.ledger.entries):,}" for _, one in seen],
        "calls made again after an answer": [f"{one.ledger.replays:,}" for _, one in seen],
        "attempts without an answer": [f"{sum(one.ledger.retries.values()):,}" for _, one in seen],
        **{
            f"faces {fault.value}, by SQL / by API": [
                f"{one.stored.counts[fault]} / {one.listed.counts[fault]}" for _, one in seen
            ]
            for fault in Fault
        },
        "replays answered differently": [str(len(one.ledger.different_replays)) for _, one in seen],
        "errors no caller should see": [str(one.errors) for _, one in seen],
        "recovery, median / most": [recoveries(one.recoveries) for _, one in seen],
        "seconds": [f"{one.seconds:.0f}" for _, one in seen],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    _console.print(table)
    for name, one in seen:
        for words in (
            *one.stored.words[:1],
            *map(str, one.ledger.surprises.items()),
            *one.internal_errors[:3],
        ):
            _console.print(f"{name}: {words}", highlight=False)


def recoveries(seconds: Sequence[float]) -> str:
    """How soon after Postgres accepted connections the replicas decided again."""
    return f"{statistics.median(seconds):.2f} / {max(seconds):.2f} s"


def outages(seen: Sequence[Outage], refused: Sequence[Answer], deadline_seconds: float) -> None:
    """The answers of calls while Postgres was down, and while a pool had no connection left."""
    table = Table(
        "", "calls", "answers", "slowest", title=f"Postgres killed {len(seen)} times under every RPC"
    )
    down = [answer for one in seen for answer in one.down]
    others = [answer for one in seen for answer in one.others]
    table.add_row("while it was down", *_columns(down))
    table.add_row("before, at and after the kill", *_columns(others))
    table.add_row(f"pool exhausted, deadline {deadline_seconds:.1f} s", *_columns(refused))
    _console.print(table)
    seconds = [second for one in seen for second in one.recoveries]
    _console.print(
        f"recovery of each replica after Postgres accepts connections, median / most: {recoveries(seconds)}"
    )
    for answer in [answer for answer in (*down, *others, *refused) if not answer.as_expected][:5]:
        _console.print(f"unexpected: {answer}", highlight=False)


def _columns(answers: Sequence[Answer]) -> tuple[str, str, str]:
    """How many calls there were, the codes they got, and the longest any took."""
    codes = collections.Counter(
        answer.code.name + (" + RetryInfo" if answer.retry_after_seconds is not None else "")
        for answer in answers
    )
    words = ", ".join(f"{count:,} {code}" for code, count in codes.most_common())
    return f"{len(answers):,}", words, f"{max(answer.seconds for answer in answers) * 1e3:.0f} ms"


def tenants(seen: Seen) -> None:
    """What steady tenants saw of collections that came and went."""
    title = f"Steady tenants among {len(seen.filled):,} collections: Verify and Enroll"
    table = Table(
        "", "calls", "failed", "p50 ms", "p99 ms", "most ms", "seen waiting for a table", title=title
    )
    phases = {"quiet": seen.quiet, "creating and deleting": seen.busy, "quiet again": seen.quiet_again}
    for name, phase in phases.items():
        milliseconds = [f"{phase.milliseconds(percentile):.1f}" for percentile in (50, 99, 100)]
        failed = sum(phase.failures.values())
        table.add_row(name, f"{len(phase.answers):,}", str(failed), *milliseconds, str(phase.waits))
    _console.print(table)
    table = Table("meanwhile", "calls", "answers", "slowest", "median")
    churn = seen.churn
    for name, answers in {
        "created at first": seen.filled,
        "created": churn.created,
        "deleted": churn.deleted,
        "called into what comes and goes": churn.racing,
    }.items():
        median = statistics.median(answer.seconds for answer in answers)
        table.add_row(name, *_columns(answers), f"{median * 1e3:.0f} ms")
    _console.print(table)
    for words in (*churn.wrong[:5], *[answer for answer in churn.racing if not answer.as_expected][:5]):
        _console.print(f"wrong: {words}", highlight=False)
