"""How `facerec up` and `facerec demo` treat the services' settings in the environment."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from encoder_service.settings import EncoderSettings
from facerec.cli.local.temporary import temporary_stack
from facerec.client import MatcherClient, Security
from facerec.gateway.settings import GatewaySettings
from facerec.local import environment
from facerec.local.errors import VariableRefused
from facerec.serving.server.settings import ListeningSettings
from matcher_service.settings import MatcherSettings
from tests.e2e.access.conftest import entry
from tests.e2e.local.conftest import Runner
from tests.e2e.local.test_up import ANN, ANY_PORTS, end_politely, refusal, running

SETTINGS: dict[str, type[ListeningSettings]] = {
    "ENCODER_": EncoderSettings,
    "MATCHER_": MatcherSettings,
    "GATEWAY_": GatewaySettings,
}
REFUSED = {
    *("ENCODER_ADDRESS", "ENCODER_INSECURE", "MATCHER_ADDRESS", "MATCHER_INSECURE"),
    *("ENCODER_TLS_CERT_FILE", "ENCODER_TLS_KEY_FILE", "ENCODER_TLS_CLIENT_CA_FILE"),
    *("MATCHER_TLS_CERT_FILE", "MATCHER_TLS_KEY_FILE", "MATCHER_TLS_CLIENT_CA_FILE"),
    *("MATCHER_ENCODER_TLS_CA_FILE", "MATCHER_ENCODER_TLS_CERT_FILE", "MATCHER_ENCODER_TLS_KEY_FILE"),
    *("MATCHER_DATABASE_URL", "MATCHER_ENCODER_ADDRESS", "MATCHER_ENCODER_SERVER_NAME"),
    *("GATEWAY_ADDRESS", "GATEWAY_INSECURE", "GATEWAY_ENCODER_ADDRESS", "GATEWAY_MATCHER_ADDRESS"),
    *("GATEWAY_TLS_CERT_FILE", "GATEWAY_TLS_KEY_FILE", "GATEWAY_TLS_CLIENT_CA_FILE"),
    *("GATEWAY_SERVICES_TLS_CA_FILE", "GATEWAY_SERVICES_TLS_CERT_FILE", "GATEWAY_SERVICES_TLS_KEY_FILE"),
    "GATEWAY_SERVICES_SERVER_NAME",
}


def every_setting() -> Iterable[tuple[str, Any]]:
    """The variable of each setting of the services, and its default."""
    for prefix, settings in SETTINGS.items():
        for name, field in settings.model_fields.items():
            yield f"{prefix}{name}".upper(), field.get_default(call_default_factory=True, validated_data={})


def test_settings_that_up_would_ignore_are_refused_and_no_others() -> None:
    refused = set()
    for variable, _ in every_setting():
        for name in (variable, variable.lower(), f"{variable}_FILE"):
            try:
                environment.check({"MATCHER_ENCODER_API_KEY": "k", "PATH": "/bin", name: "x"})
            except VariableRefused as error:
                assert str(error).startswith(f"{name}: ")
                refused.add(variable)
    assert refused == REFUSED


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        ("ENCODER_TLS_CERT_FILE", "communicate in plain text"),
        ("MATCHER_TLS_CLIENT_CA_FILE", "communicate in plain text"),
        ("MATCHER_ENCODER_TLS_CA_FILE", "communicate in plain text"),
        ("MATCHER_DATABASE_URL", "set FACEREC_DATABASE_URL"),
        ("ENCODER_KEYS_FILE", "set MATCHER_ENCODER_API_KEY"),
    ],
)
def test_such_a_variable_is_refused_in_one_line_that_names_it(
    data_dir: Path, myself: Runner, monkeypatch: pytest.MonkeyPatch, variable: str, problem: str
) -> None:
    monkeypatch.setenv(variable, "somewhere")
    line = refusal(myself, "--data", str(data_dir), *ANY_PORTS)
    assert line.startswith(f"error: {variable}: ")
    assert problem in line
    assert not data_dir.exists(), "refused before anything was made"


def test_the_stack_serves_with_every_other_setting_of_the_environment(
    data_dir: Path, myself: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, default in every_setting():
        if variable not in REFUSED and default is not None and default != "":
            monkeypatch.setenv(variable, getattr(default, "value", str(default)))
    keys = data_dir.parent / "keys.toml"
    keys.write_text(entry("all", "k", ["admin"]))
    keys.chmod(0o644)
    for service in ("ENCODER", "MATCHER"):
        monkeypatch.setenv(f"{service}_KEYS_FILE", str(keys))
        monkeypatch.setenv(f"{service}_ADMIN_ADDRESS", "127.0.0.1:0")
        monkeypatch.setenv(f"{service}_HEALTH_ADDRESS", "127.0.0.1:0")
    monkeypatch.setenv("MATCHER_ENCODER_API_KEY", "k")
    monkeypatch.setenv("MATCHER_MAINTAIN_ONCE", "true")
    monkeypatch.setenv("matcher_grace_seconds", "600")
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    with (
        running(myself, data_dir) as up,
        MatcherClient(up.matcher, security=Security(api_key="k")) as matcher,
    ):
        matcher.enroll("ann", ANN)
        assert matcher.verify("ann", ANN).match
        assert up.child("matcher_service maintain").environ()["MATCHER_MAINTAIN_ONCE"] == "false"
        assert "matcher_grace_seconds" not in up.child("matcher_service serve").environ()
        end_politely(up)
    assert up.stderr_lines == ["stopping\n"]


def test_the_demos_stack_uses_no_database_keys_certificates_or_collector_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable, _ in every_setting():
        if variable.removesuffix("_FILE") not in environment.OF_THE_MACHINE:
            monkeypatch.setenv(variable, "somewhere")
    monkeypatch.setenv("FACEREC_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    monkeypatch.setenv("FACEREC_API_KEY", "k")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")
    with temporary_stack() as (_, address), MatcherClient(address) as matcher:
        matcher.enroll("ann", ANN)
        assert matcher.verify("ann", ANN).match
