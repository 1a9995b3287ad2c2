"""Optional traces of calls through matcher, encoder and database.

A span has a name and times, and that of a call the attributes that OpenTelemetry's semantic conventions for
gRPC ask for (release 1.45): system, method and status code, and in the matcher the configured address of the
encoder. It has no message, no argument, no metadata, no address of a caller, no personal data. Without
`configure` spans cost almost nothing.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from facerec.serving.observability import trace_export

PARENT: Final = "traceparent"  # header of the W3C Trace Context
SCHEMA: Final = "https://opentelemetry.io/schemas/1.45.0"
SERVER_ERRORS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""The codes that count as errors of a server; to a client all but OK are errors."""

_tracer: Any = None
_provider: Any = None


def configure(service: str, release: str, endpoint: str | None) -> None:
    """Record spans if `endpoint` or the environment names a collector (trace_export). Raises StartError."""
    global _tracer, _provider  # noqa: PLW0603
    _provider = trace_export.provider(service, release, endpoint)
    if _provider is not None:
        _tracer = _provider.get_tracer("facerec", release, SCHEMA)


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
    """The span of a call, in the caller's trace if its metadata has one. `method` is SERVICE/METHOD.

    Call `end` before it ends.
    """
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent_header = {
        name: value for name, value in metadata or () if name == PARENT and isinstance(value, str)
    }
    context = TraceContextTextMapPropagator().extract(parent_header)
    with _call(method, SpanKind.SERVER, context=context) as span:
        yield span


@contextlib.contextmanager
def client_span(method: str, target: str) -> Iterator[None]:
    """The span of a call that this service makes to `target`, the configured address."""
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import SpanKind

    with _call(method, SpanKind.CLIENT, **_server(target)) as span:
        code = "OK"
        try:
            yield
        except BaseException as error:
            code = _code_of(error)
            raise
        finally:
            end(span, code, failed=code != "OK")


def end(span: Any, code: str, *, failed: bool) -> None:
    """Set the status of a call's span: the name of its status code, and whether that is an error."""
    from opentelemetry.trace import StatusCode

    span.set_attribute("rpc.status_code", code)
    if failed:
        span.set_attribute("error.type", code)
        span.set_status(StatusCode.ERROR)


def _call(method: str, kind: Any, *, context: Any = None, **attributes: Any) -> Any:
    return _tracer.start_as_current_span(
        method,
        context=context,
        kind=kind,
        attributes={"rpc.system.name": "grpc", "rpc.method": method, **attributes},
        # An exception's message may quote request data.
        record_exception=False,
        set_status_on_exception=False,
    )


def _server(target: str) -> dict[str, str | int]:
    """The attributes of a target's address: its host and port, or all of it where it has another form."""
    host, _, port = target.removeprefix("dns:///").rpartition(":")
    if not port.isdecimal() or (":" in host and not host.startswith("[")):
        return {"server.address": target}
    return {"server.address": host.strip("[]"), "server.port": int(port)}


def _code_of(error: BaseException) -> str:
    """The name of the status code with which a call of the client ended."""
    if isinstance(error, asyncio.CancelledError):
        return "CANCELLED"
    code = getattr(error.__cause__, "code", None)  # of a grpc.RpcError, which is not imported here
    return str(code().name) if callable(code) else "UNKNOWN"


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
