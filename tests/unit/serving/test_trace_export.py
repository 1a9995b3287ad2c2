"""When spans are exported, and which variables of OpenTelemetry keep a service from starting."""

import os
import sys

import pytest

from facerec.serving.observability import trace_export
from facerec.serving.server.errors import StartError

ENDPOINT = "127.0.0.1:1"
VARIABLE = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{ENDPOINT}"}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def on(monkeypatch: pytest.MonkeyPatch, endpoint: str | None, variables: dict[str, str]) -> bool:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    provider = trace_export.provider("matcher", "1.0", endpoint)
    if provider is not None:
        provider.shutdown()
    return provider is not None


@pytest.mark.parametrize(
    ("endpoint", "variables", "expected"),
    [
        (None, {}, False),
        (ENDPOINT, {}, True),
        (f"https://{ENDPOINT}", {}, True),
        (None, VARIABLE, True),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://{ENDPOINT}"}, True),
        (None, VARIABLE | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, True),
        (None, VARIABLE | {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, False),
        (None, VARIABLE | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (None, VARIABLE | {"OTEL_SDK_DISABLED": "true"}, False),
        (ENDPOINT, {"OTEL_SDK_DISABLED": "TRUE"}, False),
        (ENDPOINT, {"OTEL_SDK_DISABLED": "false"}, True),
    ],
)
def test_spans_are_exported_if_a_setting_or_a_variable_names_a_collector(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, variables: dict[str, str], expected: bool
) -> None:
    assert on(monkeypatch, endpoint, variables) is expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/nowhere/client.key"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", 'x-token="secret"'),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-tenant=me,x/token=secret"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
    ],
)
def test_an_invalid_variable_is_refused_without_quoting_headers(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(StartError, match="OTEL_") as refused:
        on(monkeypatch, f"https://{ENDPOINT}", {name: value})
    assert "secret" not in str(refused.value)


def test_without_the_packages_a_setting_is_refused_and_variables_are_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(StartError, match="more packages"):
        on(monkeypatch, ENDPOINT, {})
    assert not on(monkeypatch, None, VARIABLE)
