"""Traces, where they are asked for: one for a call's way through matcher, encoder and database.

A span has a name, times, and of a call its method and code: no message, no argument, nothing of a person.
Without `configure`, and so without the packages of the extra `tracing`, all of this costs next to nothing.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from facerec.proxies import NO_PROXY
from facerec.serving.server.errors import StartError

PARENT = "traceparent"  # of the W3C's Trace Context

_tracer: Any = None
_provider: Any = None


def configure(service: str, release: str, endpoint: str) -> None:
    """Send spans to an OTLP collector at HOST:PORT, in plain text. Raises StartError without the packages."""
    global _tracer, _provider  # noqa: PLW0603
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise StartError("trace_endpoint takes more packages: pip install facerec[tracing]") from None
    resource = Resource.create({"service.name": f"facerec-{service}", "service.version": release})
    _provider = TracerProvider(resource=resource)
    # Its annotation knows options of text alone.
    direct: Any = tuple(NO_PROXY)
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True, channel_options=direct)
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = _provider.get_tracer("facerec")


def stop() -> None:
    """Send what waits, and end."""
    global _tracer, _provider  # noqa: PLW0603
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None


def enabled() -> bool:
    """Whether spans are made."""
    return _tracer is not None


@contextlib.contextmanager
def of_call(method: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> Iterator[Any]:
    """The span of a call, in its caller's trace where it brings one. `method` is SERVICE/METHOD."""
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    brought = {name: value for name, value in metadata or () if name == PARENT and isinstance(value, str)}
    service, _, name = method.partition("/")
    with _tracer.start_as_current_span(
        method,
        context=TraceContextTextMapPropagator().extract(brought),
        kind=SpanKind.SERVER,
        attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        # An exception's message may quote what it was about.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


@contextlib.contextmanager
def of_part(name: str) -> Iterator[None]:
    """The span of a part of the present call."""
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False):
        yield


def parent() -> str:
    """What hands the present trace on; "" where there is none."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(PARENT, "")
