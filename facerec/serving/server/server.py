"""A grpc.aio server with middleware, health, reflection and a graceful shutdown."""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import grpc.aio

from facerec.serving.auth.authentication import Authenticator
from facerec.serving.auth.key_store import KeyStore
from facerec.serving.auth.permissions import Role
from facerec.serving.auth.tls import ServerTls
from facerec.serving.fairness.byte_budget import FairByteBudget
from facerec.serving.middleware import status
from facerec.serving.middleware.answers import AnswerWriter
from facerec.serving.middleware.chain import Middleware, MiddlewareServer
from facerec.serving.middleware.deadlines import Deadlines
from facerec.serving.middleware.reading.reader import RequestReader
from facerec.serving.middleware.request_metrics import LogCalls, RequestMetrics
from facerec.serving.observability import spans
from facerec.serving.observability.tracing import trace_calls
from facerec.serving.server import address, grpc_server, reflection
from facerec.serving.server.admin import Admin
from facerec.serving.server.errors import AddressInUse, SettingsInvalid
from facerec.serving.server.health import SERVICE_NAME as HEALTH
from facerec.serving.server.health import Health, HealthPort

KEEPALIVE_TIMEOUT_SECONDS = 20.0
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Service:
    """A service of the contract.

    Attributes:
        full_name: Its name, such as `facerec.encoder.v1.EncoderService`.
        register: Adds its servicer to a server.
        roles: The role that each method requires, or ANY_ROLE.
        probes: For methods whose message may bring other than one probe, a function that counts them.
        large: The methods whose requests carry images or many faces; others take small messages only.
    """

    full_name: str
    register: Callable[[grpc.aio.Server], object]
    roles: Mapping[str, Role | None] = dataclasses.field(default_factory=dict)
    probes: Mapping[str, Callable[[Any], int]] = dataclasses.field(default_factory=dict)
    large: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """The options of a server. Times are in seconds, sizes in bytes.

    `ServingSettings` documents each, with the defaults of a service: some differ from these, which are for
    tests.
    """

    address: str
    insecure: bool = False
    reflection: bool = True
    max_request_bytes: int = 48 * 1024 * 1024
    max_bytes_in_flight: int = 128 * 1024 * 1024
    drain_seconds: float = 0.0
    grace_seconds: float = 10.0
    max_call_seconds: float = 60.0
    max_connection_age_seconds: float = 0.0
    keepalive_seconds: float = 60.0
    admin_address: str | None = None
    health_address: str | None = None
    log_calls: LogCalls = "off"
    keys_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None


class Server:
    """A server that answers health checks from its start; `set_serving` makes a service SERVING.

    With a keys file only the callers in it are admitted. Raises AddressInvalid, InsecureAddress,
    SettingsInvalid.
    """

    def __init__(self, options: ServerOptions, services: Sequence[Service]) -> None:
        self._options = options
        self._address = address.parse(options.address)
        self._tls = _tls(options)
        if self._tls is None:
            address.check_insecure(self._address, insecure=options.insecure)
        self._authenticator = _authenticator(options, services)
        self._watch: asyncio.Task[None] | None = None
        self._health = Health(service.full_name for service in services)
        self._server = grpc_server.create(_channel_options(options))
        self._request_metrics = RequestMetrics(options.log_calls)
        self._health_port = (
            HealthPort(options.health_address, self._health) if options.health_address else None
        )
        self._admin = (
            Admin(options.admin_address, self._health.states, insecure=options.insecure)
            if options.admin_address
            else None
        )
        self._register(services)

    def _register(self, services: Sequence[Service]) -> None:
        """Register the services, health and reflection, each method wrapped in all middleware."""
        wrapping = MiddlewareServer(self._server, self._middleware(services))
        server = cast(grpc.aio.Server, wrapping)  # it has the two methods that registering needs
        for service in services:
            service.register(server)
        self._health.register(server)
        if self._options.reflection:
            reflection.register(server, [*(service.full_name for service in services), HEALTH])

    def _middleware(self, services: Sequence[Service]) -> list[Middleware]:
        """All middleware, the outermost first."""
        options, authenticator = self._options, self._authenticator
        return [
            *([trace_calls] if spans.enabled() else []),
            self._request_metrics,
            status.map_errors,
            *([authenticator.authenticate] if authenticator else []),
            Deadlines(options.max_call_seconds),
            AnswerWriter(FairByteBudget(max(options.max_bytes_in_flight // 2, options.max_request_bytes))),
            RequestReader(
                budget_bytes=options.max_bytes_in_flight,
                max_message_bytes=options.max_request_bytes,
                max_seconds=options.max_call_seconds,
                large={f"/{each.full_name}/{method}" for each in services for method in each.large},
            ),
            *([authenticator.authorize] if authenticator else []),
        ]

    @property
    def address(self) -> str:
        """The `HOST:PORT` listened on."""
        return str(self._address)

    @property
    def health_address(self) -> str | None:
        """`HOST:PORT` of the port for health alone; None if there is none."""
        return self._health_port.address if self._health_port else None

    @property
    def admin_address(self) -> str | None:
        """`HOST:PORT` of the admin port; None if there is none."""
        return self._admin.address if self._admin else None

    async def start(self) -> None:
        """Listen, with every service NOT_SERVING. Raises AddressInUse, with all ports closed."""
        await self._health.publish()
        try:
            await self._listen()
        except AddressInUse:
            await self._server.stop(0)
            if self._admin:
                await asyncio.to_thread(self._admin.stop)
            raise
        if self._authenticator:
            self._watch = asyncio.create_task(self._authenticator.watch())

    async def _listen(self) -> None:
        try:
            at = str(self._address)
            port = (
                self._server.add_secure_port(at, self._tls.credentials())
                if self._tls
                else self._server.add_insecure_port(at)
            )
        except RuntimeError as error:
            raise AddressInUse(
                f"cannot listen on {self._address}: the port is taken, or the host is not this machine's"
            ) from error
        self._address = dataclasses.replace(self._address, port=port)
        await self._server.start()  # stopping closes the port only of a server that was started
        if self._admin:
            self._admin.start()
        if self._health_port:
            await self._health_port.start()

    async def set_serving(self, full_name: str, serving: bool) -> None:
        """Announce whether a service can do its work now."""
        await self._health.set(full_name, serving)

    async def stop(self) -> None:
        """Announce NOT_SERVING, wait `drain_seconds`, finish the calls in flight, then close."""
        await self._health.shut_down()
        await asyncio.sleep(self._options.drain_seconds)
        await self._server.stop(self._options.grace_seconds)
        self._request_metrics.access_log.close()
        if self._watch:
            self._watch.cancel()
        if self._health_port:
            await self._health_port.stop()
        if self._admin:
            await asyncio.to_thread(self._admin.stop)


def _authenticator(options: ServerOptions, services: Sequence[Service]) -> Authenticator | None:
    if not options.keys_file:
        return None
    return Authenticator(
        KeyStore(options.keys_file),
        _by_path(services, lambda service: service.roles),
        _by_path(services, lambda service: service.probes),
    )


def _by_path(services: Sequence[Service], table: Callable[[Service], Mapping[str, T]]) -> dict[str, T]:
    """The tables of several services as one, by `/SERVICE/METHOD`."""
    return {
        f"/{service.full_name}/{method}": value
        for service in services
        for method, value in table(service).items()
    }


def _tls(options: ServerOptions) -> ServerTls | None:
    cert, key, client_ca = options.tls_cert_file, options.tls_key_file, options.tls_client_ca_file
    if cert and key:
        return ServerTls(cert, key, client_ca)
    if cert or key or client_ca:
        raise SettingsInvalid("TLS needs tls_cert_file and tls_key_file together")
    return None


def _channel_options(options: ServerOptions) -> list[tuple[str, int]]:
    chosen = [
        *grpc_server.limits(options.max_request_bytes),
        # Clients ping every 30 s, busy or idle; by default a server would close their connection.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        # Detects clients that vanished without closing the connection, and cancels their calls.
        ("grpc.keepalive_time_ms", int(1000 * options.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", int(1000 * KEEPALIVE_TIMEOUT_SECONDS)),
    ]
    if options.max_connection_age_seconds:
        # Running calls and streams finish on the old connection, however long they take.
        chosen.append(("grpc.max_connection_age_ms", int(1000 * options.max_connection_age_seconds)))
    return chosen
