"""Optional traces of calls through matcher, encoder and database.

A span has a name and times, and that of a call its method and status code: no message, no argument, no
personal data. Without `configure`, which needs the packages of the extra `tracing`, spans cost almost
nothing.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from facerec.proxies import NO_PROXY
from facerec.serving.server.errors import StartError

PARENT = "traceparent"  # header of the W3C Trace Context

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
        raise StartError("trace_endpoint needs more packages: pip install '.[tracing]' in a clone") from None
    resource = Resource.create({"service.name": f"facerec-{service}", "service.version": release})
    _provider = TracerProvider(resource=resource)
    # The exporter's annotation allows text values only.
    direct: Any = tuple(NO_PROXY)
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True, channel_options=direct)
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = _provider.get_tracer("facerec")


def stop() -> None:
    """Send the pending spans and stop tracing."""
    global _tracer, _provider  # noqa: PLW0603
    if _provider is not None:
        _provider.shutdown()
    _tracer = _provider = None


def enabled() -> bool:
    """Whether spans are recorded."""
    return _tracer is not None


@contextlib.contextmanager
def call_span(method: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> Iterator[Any]:
    """The span of a call, in the caller's trace if its metadata has one. `method` is SERVICE/METHOD."""
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent_header = {
        name: value for name, value in metadata or () if name == PARENT and isinstance(value, str)
    }
    service, _, name = method.partition("/")
    with _tracer.start_as_current_span(
        method,
        context=TraceContextTextMapPropagator().extract(parent_header),
        kind=SpanKind.SERVER,
        attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        # An exception's message may quote request data.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


@contextlib.contextmanager
def part_span(name: str) -> Iterator[None]:
    """The span of a part of the current call."""
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False):
        yield


def parent() -> str:
    """The `traceparent` header that continues the current trace; "" without one."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(PARENT, "")
