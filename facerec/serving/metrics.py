"""What both services count of their calls, as Prometheus knows it, and of their event loop.

Labels are methods, codes and stages: nothing of a person, an image or a caller. Collectors are the process's
own, so two servers in one process count together.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_CALL: Final = ("grpc_type", "grpc_service", "grpc_method")

STARTED = Counter("grpc_server_started", "Calls begun.", _CALL)
HANDLED = Counter("grpc_server_handled", "Calls ended, by their code.", (*_CALL, "grpc_code"))
HANDLING_SECONDS = Histogram(
    "grpc_server_handling_seconds", "From a call's beginning to its end.", _CALL, buckets=SECONDS
)
IN_FLIGHT = Gauge("grpc_server_in_flight", "Calls begun and not ended.")
BUILD = Gauge("facerec_build_info", "1, with the release that runs.", ("service", "release"))
LOOP_LAG_SECONDS = Histogram(
    "facerec_loop_lag_seconds",
    "How late the event loop ran what was due.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1),
)
DENIED = Counter("facerec_denied", "Calls that were not let in, by the reason of their error.", ("reason",))
