"""Metrics of calls, kept as plain numbers and converted to Prometheus metrics when they are scraped.

Every call updates them: five metrics of the Prometheus client, each with a lock, take ten times as long. The
metric names are those of grpc-ecosystem's go-grpc-prometheus, which existing dashboards use.
"""

import bisect
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_CALL: Final = ("grpc_type", "grpc_service", "grpc_method")
_BOUNDS: Final = (*(str(float(each)) for each in SECONDS), "+Inf")


class MethodCalls:
    """The counts of one method's calls. Updated on the event loop only; read from any thread."""

    __slots__ = ("buckets", "codes", "labels", "seconds", "started")

    def __init__(self, labels: tuple[str, str, str]) -> None:
        self.labels = labels
        self.started = 0
        self.seconds = 0.0
        self.codes: dict[str, int] = {}
        self.buckets = [0] * len(_BOUNDS)

    def begin(self) -> None:
        """Count the start of a call."""
        self.started += 1

    def end(self, code: str, seconds: float) -> None:
        """Count the end of a call, with the name of its status code and its duration."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.seconds += seconds
        self.buckets[bisect.bisect_left(SECONDS, seconds)] += 1


class CallMetrics(Collector):
    """A Prometheus collector of the counts of all methods."""

    def __init__(self) -> None:
        self._methods: dict[tuple[str, str, str], MethodCalls] = {}

    def of_method(self, kind: str, service: str, method: str) -> MethodCalls:
        """The counts of a method; always the same object."""
        labels = (kind, service, method)
        return self._methods.setdefault(labels, MethodCalls(labels))

    def in_flight(self, package: str) -> int:
        """The calls of a package's services, such as `facerec.encoder`, that began and have not ended."""
        methods = [each for each in self._methods.values() if each.labels[1].startswith(f"{package}.")]
        ended = sum(sum(each.codes.values()) for each in methods)  # first, as it never exceeds the started
        return sum(each.started for each in methods) - ended

    def collect(self) -> Iterator[Metric]:
        """The current counts as Prometheus metrics."""
        started = CounterMetricFamily("grpc_server_started", "Calls started.", labels=_CALL)
        handled = CounterMetricFamily(
            "grpc_server_handled", "Calls ended, by status code.", labels=(*_CALL, "grpc_code")
        )
        handling = HistogramMetricFamily("grpc_server_handling_seconds", "Duration of calls.", labels=_CALL)
        in_flight = 0
        for method in list(self._methods.values()):
            # Ended calls are read first, so that they never exceed the started ones.
            codes, buckets, seconds = dict(method.codes), list(method.buckets), method.seconds
            started.add_metric(method.labels, method.started)
            in_flight += method.started - sum(codes.values())
            for code, calls in codes.items():
                handled.add_metric((*method.labels, code), calls)
            handling.add_metric(method.labels, _cumulative(buckets), seconds)
        yield started
        yield handled
        yield handling
        yield GaugeMetricFamily("grpc_server_in_flight", "Calls started and not ended.", in_flight)


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    total = 0
    found = []
    for bound, calls in zip(_BOUNDS, buckets, strict=True):
        total += calls
        found.append((bound, float(total)))
    return found
