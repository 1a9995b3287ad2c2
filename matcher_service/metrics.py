"""What the matcher counts beside its calls."""

from prometheus_client import Counter, Gauge, Histogram

from facerec.serving.call_metrics import SECONDS

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
    "Connections to Postgres, by pool and state (open, used, and most that may be open).",
    ("pool", "state"),
)
WAITING = Gauge(
    "facerec_matcher_waiting", "Requests that wait for a connection or for the encoder.", ("kind",)
)
SEARCHES = Counter(
    "facerec_matcher_searches",
    "Searches of Identify by what decided: index, exact, or index_confirmed (an exact scan after an index).",
    ("mode",),
)
REFUSED = Counter(
    "facerec_matcher_overloaded",
    "Requests refused because they would wait too long, or did.",
    ("kind",),
)
INDEXES = Gauge("facerec_matcher_indexes", "Collections that are searched by an index.")
LEAST_RECALL = Gauge(
    "facerec_matcher_index_recall_min",
    "The least recall that maintenance last measured of an index; 1 where there is none.",
)
DECISIONS = Counter(
    "facerec_matcher_audit_decisions",
    "Decisions for the audit, by fate: written, or dropped (the database was away for too long).",
    ("fate",),
)
DECISIONS_WRITTEN = DECISIONS.labels("written")
DECISIONS_DROPPED = DECISIONS.labels("dropped")
SCHEMA = Gauge("facerec_matcher_database_ready", "1 while the database is usable and its schema at head.")
