"""The settings of services and gateway, from flags, then the environment, then a file, then defaults.

A field's docstring is its `--help`. `--address` on the command line is `ENCODER_ADDRESS` in the
encoder's environment and `address` in its TOML file; a text setting can also be read from the file
that `ENCODER_..._FILE` names, which suits mounted secrets.
"""

import os
from pathlib import Path
from typing import Any, ClassVar, Self

import pydantic
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from facerec.serving.middleware.request_metrics import LogCalls
from facerec.serving.observability.logs import Format, Level
from facerec.serving.server.server import ServerOptions


class ListeningSettings(BaseSettings):
    """The settings of a process that listens: of both services and of the gateway."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        cli_kebab_case=True,
        cli_avoid_json=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        hide_input_in_errors=True,
    )

    config_file: ClassVar[Path | None] = None

    address: str
    """HOST:PORT to listen on; port 0 lets the system choose."""

    insecure: bool = False
    """Allow plain text on an address that other machines can reach."""

    admin_address: str | None = None
    """HOST:PORT for metrics, liveness and readiness over HTTP; no port is opened if it is not set."""

    tls_cert_file: Path | None = None
    """PEM file of the server's certificate and the intermediate ones; reloaded when it changes."""

    tls_key_file: Path | None = None
    """PEM file of the certificate's key."""

    tls_client_ca_file: Path | None = None
    """PEM file of the CAs whose client certificates are accepted; if it is set, callers need one."""

    max_request_bytes: int = pydantic.Field(48 * 1024 * 1024, ge=1024, le=2**31 - 1)
    """Largest message received or sent, in bytes."""

    max_bytes_in_flight: int = pydantic.Field(128 * 1024 * 1024, ge=1024, le=2**40)
    """Most bytes that the messages of all calls may take together; at least max_request_bytes. A message that
    takes longer than 20 ms to arrive, and one that a stream waits for, counts as an eighth of
    max_request_bytes until it is complete. A caller with more than one message leaves at least a quarter of
    the bytes to others, or max_request_bytes if that is more, but never has to leave more than half. A call
    beyond the limit is refused as OVERLOADED. A message takes several times its size in memory while it is
    processed. Answers that callers have not read yet share half as many bytes."""

    drain_seconds: float = pydantic.Field(0.0, ge=0, le=300)
    """How long to go on answering after announcing NOT_SERVING, in seconds, so that balancers notice."""

    grace_seconds: float = pydantic.Field(10.0, ge=0, le=600)
    """How long calls in flight may take to finish at shutdown, in seconds."""

    max_call_seconds: float = pydantic.Field(60.0, gt=0, le=3600)
    """Longest that a unary call without a deadline may take, in seconds."""

    stuck_seconds: float = pydantic.Field(300.0, ge=0, le=86400)
    """How long one piece of work may block a thread or the event loop before the process ends itself, in
    seconds; 0 for no limit."""

    lag_report_seconds: float = pydantic.Field(60.0, gt=0, le=86400)
    """How often the event loop's lag is logged, in seconds."""

    log_level: Level = "info"
    """Lowest level logged: debug, info, warning or error."""

    log_calls: LogCalls = "failed"
    """Which calls have a line in the access log: off, failed or all. It has method, code, duration, caller
    and request id."""

    log_format: Format = "auto"
    """Format of log lines: console, json, or auto, which is console on a terminal and else json."""

    @pydantic.model_validator(mode="after")
    def _check_one_request_fits(self) -> Self:
        if self.max_bytes_in_flight < self.max_request_bytes:
            raise ValueError("max_bytes_in_flight must be at least max_request_bytes")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources in order of precedence; flags come before all of these."""
        toml = TomlConfigSettingsSource(settings_cls, toml_file=cls.config_file)
        return init_settings, env_settings, _NamedFiles(settings_cls), toml

    def file_of(self, name: str) -> Path | None:
        """The file that `PREFIX_NAME_FILE` names, to be reloaded; None if the setting is not from it."""
        path = os.environ.get(f"{self.model_config.get('env_prefix', '')}{name}_FILE".upper())
        if not path:
            return None
        value = getattr(self, name)
        text = value.get_secret_value() if isinstance(value, pydantic.SecretStr) else value
        return Path(path) if Path(path).read_text(encoding="utf-8").strip() == text else None


class ServingSettings(ListeningSettings):
    """The settings of a service's server; each service adds its own."""

    health_address: str | None = None
    """HOST:PORT for gRPC health only, in plain text, for health checks that use neither TLS nor keys; no port
    is opened if it is not set."""

    keys_file: Path | None = None
    """TOML file of the API keys and client certificates, with the permissions of each; reloaded when it
    changes. Without it every caller may do everything."""

    reflection: bool = True
    """Answer server reflection, which grpcurl and buf curl need."""

    max_connection_age_seconds: float = pydantic.Field(300.0, ge=0, le=86400)
    """Age at which a connection is closed once its calls have ended, in seconds, so that clients find new
    replicas; 0 for never."""

    keepalive_seconds: float = pydantic.Field(60.0, ge=10, le=86400)
    """How often an idle connection is checked by a ping, in seconds."""

    trace_endpoint: str | None = None
    """OpenTelemetry collector that spans are sent to by OTLP over gRPC: HOST:PORT in plain text, or a URL of
    http or https. By default that of OTEL_EXPORTER_OTLP_ENDPOINT; without either no spans are recorded. Needs
    the packages of the extra `tracing`."""

    def server_options(self) -> ServerOptions:
        """The options of the server that these settings describe."""
        return ServerOptions(
            address=self.address,
            insecure=self.insecure,
            reflection=self.reflection,
            max_request_bytes=self.max_request_bytes,
            max_bytes_in_flight=self.max_bytes_in_flight,
            drain_seconds=self.drain_seconds,
            grace_seconds=self.grace_seconds,
            max_call_seconds=self.max_call_seconds,
            max_connection_age_seconds=self.max_connection_age_seconds,
            keepalive_seconds=self.keepalive_seconds,
            admin_address=self.admin_address,
            health_address=self.health_address,
            log_calls=self.log_calls,
            keys_file=self.keys_file,
            tls_cert_file=self.tls_cert_file,
            tls_key_file=self.tls_key_file,
            tls_client_ca_file=self.tls_client_ca_file,
        )


class _NamedFiles(PydanticBaseSettingsSource):
    """A source that reads `PREFIX_NAME_FILE`: the path of a file whose text is the setting's value."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{self.config.get('env_prefix', '')}{field_name}_FILE".upper())
        return (Path(path).read_text(encoding="utf-8").strip() if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}
