"""The matcher's own metrics, besides those of its calls."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from facerec.serving.observability.call_metrics import SECONDS

STAGE_SECONDS = Histogram(
    "facerec_matcher_stage_seconds",
    "Time of a call in a stage: encoder (asking it), pool (waiting for a connection), database (using one).",
    ("stage",),
    buckets=SECONDS,
)
ENCODER_SECONDS = STAGE_SECONDS.labels("encoder")
POOL_SECONDS = STAGE_SECONDS.labels("pool")
DATABASE_SECONDS = STAGE_SECONDS.labels("database")

CONNECTIONS = Gauge(
    "facerec_matcher_connections",
    "Connections to Postgres, by pool and state (open, used, and most: the limit).",
    ("pool", "state"),
)
WAITING = Gauge("facerec_matcher_waiting", "Requests waiting for a connection or for the encoder.", ("kind",))
SEARCHES = Counter(
    "facerec_matcher_searches",
    "Searches of Identify by what decided: index, exact, or index_confirmed (an exact scan after an index).",
    ("mode",),
)
REFUSED = Counter(
    "facerec_matcher_overloaded",
    "Requests refused because they waited, or would have waited, too long.",
    ("kind",),
)
READS = Counter(
    "facerec_matcher_reads",
    "Searches, calibrations, reviews and exports by the server that was read (primary or standby), and by "
    "consistency: fresh, or bounded where the request allows staleness.",
    ("role", "consistency"),
)
for _role in ("primary", "standby"):
    for _consistency in ("fresh", "bounded"):
        READS.labels(_role, _consistency)  # shown as 0 before the first one
FALLBACKS = Counter(
    "facerec_matcher_read_fallbacks",
    "Reads that a standby did not answer, so that another server had to, by the reason.",
    ("reason",),
)
STANDBY_USABLE = Gauge("facerec_matcher_standby_usable", "1 while a standby is read from.", ("server",))
STANDBY_LAG = Gauge(
    "facerec_matcher_standby_lag_bytes",
    "Bytes of the primary's log that a standby had not replayed when it was last checked.",
    ("server",),
)
STANDBY_STALENESS = Gauge(
    "facerec_matcher_standby_staleness_seconds",
    "How old at most an answer of a standby was when it was last checked; infinite beyond "
    "max_staleness_seconds.",
    ("server",),
)
INDEXES = Gauge("facerec_matcher_indexes", "Collections searched by an index.")
MIN_RECALL = Gauge(
    "facerec_matcher_index_recall_min",
    "The lowest recall of an index when maintenance last measured; 1 without an index.",
)
DECISIONS = Counter(
    "facerec_matcher_audit_decisions",
    "Audit events of decisions, by fate: written, or dropped (the database was unreachable for too long).",
    ("fate",),
)
DECISIONS_WRITTEN = DECISIONS.labels("written")
DECISIONS_DROPPED = DECISIONS.labels("dropped")
DATABASE_READY = Gauge(
    "facerec_matcher_database_ready", "1 while the database is usable and its schema at head."
)


class Maintenance(Collector):
    """The state of maintenance as the matcher last read it from the database; empty before the first reading.

    `maintain` may run as a job that Prometheus cannot scrape, so every matcher reports the same figures.
    """

    def __init__(self) -> None:
        self._steps: Sequence[Mapping[str, Any]] = ()
        self._pending_since: float | None = None
        self._below_target: int | None = None

    def update(self, summary: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> None:
        """Report from now on a row of `maintenance_left` and the rows of `maintenance_steps`."""
        INDEXES.set(summary["indexes"])
        MIN_RECALL.set(1.0 if summary["min_recall"] is None else summary["min_recall"])
        self._below_target = summary["below_target"]
        self._pending_since = summary["pending_since"] or 0.0
        self._steps = steps

    def collect(self) -> Iterator[Metric]:
        """The metrics of the last reading."""
        success = GaugeMetricFamily(
            "facerec_maintenance_last_success_timestamp_seconds",
            "When a maintenance step last succeeded, in seconds since 1970; 0 for never.",
            labels=("step",),
        )
        failures = CounterMetricFamily(
            "facerec_maintenance_failures",
            "Collections, or runs, in which a maintenance step failed.",
            labels=("step",),
        )
        waiting = GaugeMetricFamily(
            "facerec_maintenance_collections_waiting",
            "Collections in which the last run postponed work to a later one.",
            labels=("step",),
        )
        for row in self._steps:
            success.add_metric((row["step"],), row["success_time"] or 0.0)
            failures.add_metric((row["step"],), row["failures"])
            waiting.add_metric((row["step"],), row["waiting"])
        yield from (success, failures, waiting)
        yield _gauge(
            "facerec_maintenance_oldest_erasure_timestamp_seconds",
            "When the oldest erasure that is not vacuumed yet was made, in seconds since 1970; 0 for none.",
            self._pending_since,
        )
        yield _gauge(
            "facerec_maintenance_indexes_below_target",
            "Indexes whose last measured recall is below their collection's target_recall.",
            self._below_target,
        )


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric((), value)
    return family


MAINTENANCE = Maintenance()
REGISTRY.register(MAINTENANCE)
