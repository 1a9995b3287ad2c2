"""One trace of a call through matcher, encoder and database, without personal data."""

import functools
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from facerec.client import MatcherClient
from facerec.errors import FacerecError, Reason
from tests.e2e.access.conftest import Authority
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.matcher import MatcherProcess

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
PERSON = "a very particular person"
VERIFY = "facerec.matcher.v1.MatcherService/Verify"
ENCODE = "facerec.encoder.v1.EncoderService/Encode"


class Collector(services.TraceServiceServicer):
    """Keeps every span it is sent, with the service it is of."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.resources: list[dict[str, Any]] = []
        self.metadata: dict[str, str | bytes] = {}
        self.schemas: set[str] = set()

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:
        """Take a batch."""
        self.metadata |= dict(context.invocation_metadata())
        for group in request.resource_spans:
            resource = attributes(group.resource)
            self.resources.append(resource)
            self.schemas |= {scope.schema_url for scope in group.scope_spans}
            self.spans += [
                (resource["service.name"], span) for scope in group.scope_spans for span in scope.spans
            ]
        return pb.ExportTraceServiceResponse()


def attributes(message: Any) -> dict[str, Any]:
    """The attributes of a span or a resource."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in message.attributes}


@pytest.fixture
def collector() -> Iterator[tuple[Collector, grpc.Server]]:
    """A collector and its server, which has no port yet."""
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = Collector()
    services.add_TraceServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    yield servicer, server
    server.stop(None)


def test_a_call_is_one_trace_through_both_services(
    collector: tuple[Collector, grpc.Server], database_url: str, model_cache: Path, sample_photos: Path
) -> None:
    kept, server = collector
    endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    photo = (sample_photos / "obama.jpg").read_bytes()
    encoder = EncoderProcess("--trace-endpoint", endpoint, cache=model_cache)
    port = encoder.address.rpartition(":")[2]
    options = ("--trace-endpoint", endpoint, "--encoder-address", f"localhost:{port}")
    matcher = MatcherProcess(database_url, *options)
    try:
        encoder.event("serving")
        matcher.event("database_ready")
        with MatcherClient(matcher.address) as client:
            client.enroll(PERSON, photo, display_name="Particular")
            assert client.with_options(trace_parent=SAMPLED).verify(PERSON, photo).match
            with pytest.raises(FacerecError):
                client.get_person("somebody who is not there")
    finally:
        assert matcher.stop() == 0
        assert encoder.stop() == 0
    of_trace = [(service, span) for service, span in kept.spans if span.trace_id.hex() == TRACE]
    seen = {(service, span.name, span.kind): span for service, span in of_trace}
    verify = seen.pop(("facerec-matcher", VERIFY, Span.SPAN_KIND_SERVER))
    asked = seen.pop(("facerec-matcher", ENCODE, Span.SPAN_KIND_CLIENT))
    encode = seen.pop(("facerec-encoder", ENCODE, Span.SPAN_KIND_SERVER))
    postgres = seen.pop(("facerec-matcher", "postgres", Span.SPAN_KIND_INTERNAL))
    assert not seen
    assert verify.parent_span_id.hex() == "00f067aa0ba902b7"
    assert asked.parent_span_id == postgres.parent_span_id == verify.span_id
    assert encode.parent_span_id == asked.span_id
    call = {"rpc.system.name": "grpc", "rpc.status_code": "OK"}
    assert attributes(verify) == call | {"rpc.method": VERIFY}
    assert attributes(encode) == call | {"rpc.method": ENCODE}
    encoder_server = {"server.address": "localhost", "server.port": int(port)}
    assert attributes(asked) == call | {"rpc.method": ENCODE} | encoder_server
    [missing] = [span for _, span in kept.spans if span.name.endswith("/GetPerson")]
    assert attributes(missing)["rpc.status_code"] == "NOT_FOUND"
    assert "error.type" not in attributes(missing), "the caller's error, not the server's"
    assert missing.status.code == Status.STATUS_CODE_UNSET
    assert kept.schemas == {"https://opentelemetry.io/schemas/1.45.0"}
    text = "\n".join(str(span) for _, span in kept.spans)
    assert not [secret for secret in (PERSON, "Particular", "somebody", "127.0.0.1") if secret in text]


def test_the_variables_of_opentelemetry_are_followed_to_a_collector_with_tls(
    collector: tuple[Collector, grpc.Server], database_url: str, authority: Authority
) -> None:
    kept, server = collector
    cert, key = (path.read_bytes() for path in authority.issue("collector", "127.0.0.1"))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, cert)]))
    server.start()
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(authority.ca_file),
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%20tenant,x-token=secret",
        "OTEL_SERVICE_NAME": "faces",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=testing,service.version=mine",
        "OTEL_TRACES_SAMPLER": "parentbased_always_off",
    }
    start = functools.partial(subprocess.Popen, env=os.environ | variables)
    matcher = MatcherProcess(database_url, start=start)
    try:
        matcher.event("database_ready")
        with MatcherClient(matcher.address) as client:
            with pytest.raises(FacerecError):
                client.get_person("not sampled")
            with pytest.raises(FacerecError) as refused:
                client.with_options(trace_parent=SAMPLED).verify("nobody", b"\xff\xd8\xff")
        assert refused.value.reason is Reason.ENCODER_UNAVAILABLE
    finally:
        assert matcher.stop() == 0
    failed = {span.name: span for service, span in kept.spans if service == "faces"}
    assert set(failed) - {"postgres"} == {VERIFY, ENCODE}, "none but the trace of the caller who sampled it"
    for span in (failed[VERIFY], failed[ENCODE]):
        assert attributes(span)["rpc.status_code"] == attributes(span)["error.type"] == "UNAVAILABLE"
        assert span.status == Status(code=Status.STATUS_CODE_ERROR), "without a message"
    assert kept.metadata.items() >= {("x-tenant", "a tenant"), ("x-token", "secret")}
    assert kept.resources[0]["deployment.environment.name"] == "testing"
    assert kept.resources[0]["service.version"] == "mine"
