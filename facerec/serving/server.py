"""A grpc.aio server with health, reflection, mapped errors and a graceful end."""

import asyncio
import dataclasses
import signal
from collections.abc import Callable, Sequence

import grpc.aio

from facerec.serving import address, reflection
from facerec.serving.admin import Admin
from facerec.serving.counting import MetricsInterceptor
from facerec.serving.deadlines import DeadlineInterceptor
from facerec.serving.errors import AddressInUse
from facerec.serving.health import SERVICE_NAME as HEALTH
from facerec.serving.health import Health
from facerec.serving.interceptor import ErrorInterceptor

KEEPALIVE_TIMEOUT_SECONDS = 20.0


@dataclasses.dataclass(frozen=True)
class Service:
    """One service of the contract and how it is added to a server."""

    full_name: str
    register: Callable[[grpc.aio.Server], object]


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """How the server listens and ends. Times are in seconds, sizes in bytes."""

    address: str
    insecure: bool = False
    reflection: bool = True
    max_request_bytes: int = 48 * 1024 * 1024
    drain_seconds: float = 0.0
    grace_seconds: float = 10.0
    max_call_seconds: float = 60.0
    max_connection_age_seconds: float = 0.0
    keepalive_seconds: float = 60.0
    admin_address: str | None = None


class Server:
    """A server that answers health from its first moment and is SERVING when told so.

    Raises AddressInvalid, InsecureAddress.
    """

    def __init__(self, options: ServerOptions, services: Sequence[Service]) -> None:
        self._options = options
        self._address = address.parse(options.address)
        address.check_insecure(self._address, insecure=options.insecure)
        self._health = Health(service.full_name for service in services)
        self._server = grpc.aio.server(
            interceptors=[
                MetricsInterceptor(),
                ErrorInterceptor(),
                DeadlineInterceptor(options.max_call_seconds),
            ],
            options=_channel_options(options),
        )
        self._admin = (
            Admin(options.admin_address, self._health.states, insecure=options.insecure)
            if options.admin_address
            else None
        )
        for service in services:
            service.register(self._server)
        self._health.register(self._server)
        if options.reflection:
            reflection.register(self._server, [*(service.full_name for service in services), HEALTH])

    @property
    def port(self) -> int:
        """The TCP port listened on; 0 before `start` where the system chooses."""
        return self._address.port

    @property
    def address(self) -> str:
        """`HOST:PORT` as listened on."""
        return str(self._address)

    @property
    def admin_address(self) -> str | None:
        """`HOST:PORT` of the admin port; None where there is none."""
        return self._admin.address if self._admin else None

    async def start(self) -> None:
        """Listen, every service NOT_SERVING. Raises AddressInUse."""
        await self._health.publish()
        try:
            port = self._server.add_insecure_port(str(self._address))
        except RuntimeError as error:
            raise AddressInUse(
                f"cannot listen on {self._address}: the port is taken, or the host is not this machine's"
            ) from error
        self._address = dataclasses.replace(self._address, port=port)
        if self._admin:
            self._admin.start()
        await self._server.start()

    async def set_serving(self, full_name: str, serving: bool) -> None:
        """Announce whether a service can do its work now."""
        await self._health.set(full_name, serving)

    async def stop(self) -> None:
        """Announce NOT_SERVING, let balancers notice, finish what is in flight, then close."""
        await self._health.shut_down()
        await asyncio.sleep(self._options.drain_seconds)
        await self._server.stop(self._options.grace_seconds)
        if self._admin:
            await asyncio.to_thread(self._admin.stop)


def _channel_options(options: ServerOptions) -> list[tuple[str, int]]:
    chosen = [
        ("grpc.max_receive_message_length", options.max_request_bytes),
        ("grpc.max_send_message_length", options.max_request_bytes),
        # Two servers on one port would share its calls in silence; the second is to be refused.
        ("grpc.so_reuseport", 0),
        # Clients ping every 30 s, busy or not; by default a server hangs up on whoever does.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        # A client that vanished without a word is noticed, and its work dropped.
        ("grpc.keepalive_time_ms", int(1000 * options.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", int(1000 * KEEPALIVE_TIMEOUT_SECONDS)),
    ]
    if options.max_connection_age_seconds:
        # Calls and streams under way finish on the old connection, however long they take.
        chosen.append(("grpc.max_connection_age_ms", int(1000 * options.max_connection_age_seconds)))
    return chosen


async def wait_for_termination() -> None:
    """Return on the first SIGTERM or SIGINT. A second one takes the signal's default course."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        await stop.wait()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
