"""Prometheus metrics of both services: calls, health, the release and the event loop.

Labels are methods, codes and reasons, never a person, an image or a caller. Metrics are global to the
process: two servers in one process count together.
"""

from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from facerec.serving.observability.call_metrics import CallMetrics

CALLS: Final = CallMetrics()
REGISTRY.register(CALLS)
BUILD = Gauge("facerec_build_info", "1, with the running release as a label.", ("service", "release"))
SERVING = Gauge(
    "facerec_serving", "1 while a service is SERVING, as health and readiness report it.", ("grpc_service",)
)
LOOP_LAG_SECONDS = Histogram(
    "facerec_loop_lag_seconds",
    "How late the event loop ran a due timer.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1),
)
DENIED = Counter(
    "facerec_denied",
    "Calls refused by authentication, authorization or rate, by the reason of their error.",
    ("reason",),
)
