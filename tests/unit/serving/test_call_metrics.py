"""The metrics of calls equal those that Prometheus' own library would give."""

import random

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from facerec.serving.observability.call_metrics import SECONDS, CallMetrics

LABELS = ("grpc_type", "grpc_service", "grpc_method")
VERIFY = ("unary_unary", "facerec.matcher.v1.MatcherService", "Verify")
EXPORT = ("unary_stream", "facerec.matcher.v1.MatcherService", "ExportFaces")


def lines(registry: CollectorRegistry) -> set[str]:
    text = generate_latest(registry).decode()
    return {line for line in text.splitlines() if "_created" not in line and "in_flight" not in line}


def test_the_exposition_is_the_same_as_of_the_librarys_own_metrics() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counted = CallMetrics()
    ours.register(counted)
    started = Counter("grpc_server_started", "Calls started.", LABELS, registry=theirs)
    handled = Counter(
        "grpc_server_handled", "Calls ended, by status code.", (*LABELS, "grpc_code"), registry=theirs
    )
    seconds = Histogram(
        "grpc_server_handling_seconds",
        "Duration of calls.",
        LABELS,
        buckets=SECONDS,
        registry=theirs,
    )
    draw = random.Random(1)
    for labels in (VERIFY, EXPORT):
        # On bounds, between them, and beyond the last.
        for took in (*SECONDS, 0.0, 60.0, *(draw.expovariate(20) for _ in range(500))):
            code = draw.choice(["OK", "NOT_FOUND", "CANCELLED"])
            counted.of_method(*labels).begin()
            counted.of_method(*labels).end(code, took)
            started.labels(*labels).inc()
            seconds.labels(*labels).observe(took)
            handled.labels(*labels, code).inc()
    assert lines(ours) == lines(theirs)


def test_calls_in_flight_are_those_begun_and_not_ended() -> None:
    registry, counted = CollectorRegistry(), CallMetrics()
    registry.register(counted)
    for _ in range(3):
        counted.of_method(*VERIFY).begin()
    counted.of_method(*EXPORT).begin()
    counted.of_method(*VERIFY).end("OK", 0.1)
    assert registry.get_sample_value("grpc_server_in_flight") == 3
