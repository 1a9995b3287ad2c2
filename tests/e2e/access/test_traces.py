"""One trace of a call through matcher, encoder and database, without personal data."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services

from facerec.client import MatcherClient
from facerec.errors import FacerecError
from tests.fixtures.encoder import EncoderProcess
from tests.fixtures.matcher import MatcherProcess

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PERSON = "a very particular person"


class Collector(services.TraceServiceServicer):
    """Keeps every span it is sent, with the service it is of."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []

    def Export(self, request: pb.ExportTraceServiceRequest, context: Any) -> pb.ExportTraceServiceResponse:
        """Take a batch."""
        for group in request.resource_spans:
            names = {each.key: each.value.string_value for each in group.resource.attributes}
            self.spans += [
                (names["service.name"], span) for scope in group.scope_spans for span in scope.spans
            ]
        return pb.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = Collector()
    services.add_TraceServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None)


def test_a_call_is_one_trace_through_both_services(
    collector: tuple[Collector, str], database_url: str, model_cache: Path, sample_photos: Path
) -> None:
    kept, endpoint = collector
    photo = (sample_photos / "obama.jpg").read_bytes()
    encoder = EncoderProcess("--trace-endpoint", endpoint, cache=model_cache)
    matcher = MatcherProcess(database_url, "--trace-endpoint", endpoint, "--encoder-address", encoder.address)
    try:
        encoder.event("serving")
        matcher.event("database_ready")
        with MatcherClient(matcher.address) as client:
            client.enroll(PERSON, photo, display_name="Particular")
            traced = client.with_options(trace_parent=f"00-{TRACE}-00f067aa0ba902b7-01")
            assert traced.verify(PERSON, photo).match
            with pytest.raises(FacerecError):
                client.get_person("somebody who is not there")
    finally:
        assert matcher.stop() == 0
        assert encoder.stop() == 0
    of_trace = [(service, span) for service, span in kept.spans if span.trace_id.hex() == TRACE]
    by_name = {span.name: (service, span) for service, span in of_trace}
    verify = "facerec.matcher.v1.MatcherService/Verify"
    encode = "facerec.encoder.v1.EncoderService/Encode"
    assert set(by_name) == {verify, "encoder", encode, "postgres"}
    assert by_name[verify][0] == "facerec-matcher"
    assert by_name[encode][0] == "facerec-encoder"
    parents = {name: span.parent_span_id for name, (_, span) in by_name.items()}
    assert parents[verify].hex() == "00f067aa0ba902b7"
    assert parents["encoder"] == parents["postgres"] == by_name[verify][1].span_id
    assert parents[encode] == by_name["encoder"][1].span_id
    statuses = {
        (span.name.rpartition("/")[2], each.value.string_value)
        for _, span in kept.spans
        for each in span.attributes
        if each.key == "rpc.grpc.status"
    }
    assert statuses >= {("Verify", "OK"), ("Encode", "OK"), ("GetPerson", "NOT_FOUND")}
    text = "\n".join(str(span) for _, span in kept.spans)
    assert not [secret for secret in (PERSON, "Particular", "somebody", "127.0.0.1") if secret in text]
