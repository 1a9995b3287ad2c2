"""Where spans go: to the collector of `trace_endpoint`, or of OpenTelemetry's own variables (OTEL_*).

Headers, timeout, compression, certificates, limits of batches, the sampler and the resource's attributes are
set by the variables alone, which OpenTelemetry's packages read. Files and headers are checked here first: the
packages only log that they are invalid, and quote the header, which may be a secret.
"""

import os
import re
from pathlib import Path
from typing import Any, Final

import structlog

from facerec.proxies import NO_PROXY
from facerec.serving.server.errors import StartError

_EXPORTER: Final = ("OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_")  # the first has precedence
_FILES: Final = ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
_HEADER: Final = re.compile(r" *[A-Za-z0-9_.-]+ *=[ !#-+\--:<-\[\]-~]*")  # as gRPC and the packages take it

log = structlog.get_logger(__name__)


def provider(service: str, release: str, endpoint: str | None) -> Any:
    """OpenTelemetry's provider of tracers for a service, `encoder` or `matcher`; None if traces are off.

    They are on with `endpoint`, HOST:PORT in plain text or a URL of http or https, or with the endpoint that
    a variable names. Without the packages of the extra `tracing`, `endpoint` is an error; a variable, which
    may be set for all programs of a host, only causes a warning. Raises StartError.
    """
    if not _is_on(endpoint):
        return None
    try:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = _exporter(endpoint)
    except ImportError:
        missing = "more packages are needed: pip install '.[tracing]' in a clone"
        if endpoint:
            raise StartError(f"trace_endpoint: {missing}") from None
        log.warning("traces_off", why=missing)
        return None
    defaults: dict[str, Any] = {"service.name": f"facerec-{service}", "service.version": release}
    made = TracerProvider(
        resource=Resource.create(defaults | dict(OTELResourceDetector().detect().attributes))
    )
    made.add_span_processor(BatchSpanProcessor(exporter))
    return made


def _is_on(endpoint: str | None) -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if endpoint:
        return True
    if "otlp" not in os.environ.get("OTEL_TRACES_EXPORTER", "otlp").split(",") or not _variable("ENDPOINT"):
        return False
    protocol = _variable("PROTOCOL") or "grpc"
    if protocol != "grpc":
        log.warning("traces_off", why=f"spans are sent by the protocol grpc alone, not by {protocol}")
    return protocol == "grpc"


def _exporter(endpoint: str | None) -> Any:
    """The exporter to an endpoint, by default that of the variables. Raises StartError and ImportError."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    _check_variables()
    # The exporter's annotation allows text values only.
    direct: Any = tuple(NO_PROXY)
    plain = True if endpoint and "://" not in endpoint else None  # a URL says by its scheme
    try:
        return OTLPSpanExporter(endpoint=endpoint, insecure=plain, channel_options=direct)
    except (ValueError, KeyError) as error:
        raise StartError(f"an OTEL_* variable of the exporter is invalid: {error}") from error


def _check_variables() -> None:
    """Raises StartError for a file that cannot be read, or headers that would be ignored."""
    for name in (prefix + suffix for prefix in _EXPORTER for suffix in _FILES):
        try:
            if path := os.environ.get(name):
                Path(path).read_bytes()
        except OSError as error:
            raise StartError(f"{name}: cannot read {path}: {error.strerror}") from error
    for name in (prefix + "HEADERS" for prefix in _EXPORTER):
        headers = [each for each in os.environ.get(name, "").split(",") if each.strip()]
        if not all(_HEADER.fullmatch(each) for each in headers):
            raise StartError(f"{name}: not NAME=VALUE[,NAME=VALUE...] with values that are percent-encoded")


def _variable(suffix: str) -> str:
    """The value of a variable of the exporter; "" if it is not set."""
    return next((value for prefix in _EXPORTER if (value := os.environ.get(prefix + suffix))), "")
