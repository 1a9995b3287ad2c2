"""The channels to both services, and calls over them in bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import grpc
import grpc.aio
import structlog

from facerec.client import Security
from facerec.client.channel import (
    ANY_HEALTH,
    COLLECTION_SERVICE,
    ENCODER_SERVICE,
    MATCHER_SERVICE,
    UNREADY_TOO,
    channel_options,
    check_address,
    target,
)
from facerec.errors import FacerecError
from facerec.gateway.methods import METHODS, Method
from facerec.loopback import is_loopback_target
from facerec.serving.auth.files import POLL_SECONDS, WatchedFiles
from facerec.serving.observability.metrics import SERVING
from facerec.serving.server.errors import SettingsInvalid

SERVICES: Final = (ENCODER_SERVICE, MATCHER_SERVICE, COLLECTION_SERVICE)
MAX_RECONNECT_MS: Final = 1000
"""Longest wait between two attempts to reach a service: shorter than a client's, as many wait here."""
CLOSE_SECONDS: Final = 60.0
"""How long calls in flight may take on channels whose certificates were replaced."""
log = structlog.get_logger(__name__)


class _Channels:
    """A channel to each service, and each method over it.

    What replicas answer whatever their health is has channels of its own, which connect at its first call.
    """

    def __init__(self, addresses: Mapping[str, str], security: Security, max_message_bytes: int) -> None:
        options = security, max_message_bytes
        self.channels = {service: _open(service, addresses[service], *options) for service in SERVICES}
        unready_too = {method.service for method in METHODS.values() if method.name in UNREADY_TOO}
        self._unready_too = {
            service: _open(service, addresses[service], *options, more=[ANY_HEALTH])
            for service in unready_too
        }
        self.methods = {
            path: _callable(
                (self._unready_too if method.name in UNREADY_TOO else self.channels)[method.service], method
            )
            for path, method in METHODS.items()
        }

    async def close(self, grace_seconds: float | None = None) -> None:
        """Close all, after the calls in flight but at most so many seconds later."""
        all_channels = [*self.channels.values(), *self._unready_too.values()]
        await asyncio.gather(*(channel.close(grace_seconds) for channel in all_channels))


class Services:
    """Both services, at addresses of the form that clients take.

    When certificate files change, new channels use them; calls in flight end on the old ones. Raises
    SettingsInvalid where an address or a file cannot be used, and where plain text would leave this machine
    without `insecure`.
    """

    def __init__(
        self,
        encoder_address: str,
        matcher_address: str,
        *,
        security: Security,
        insecure: bool,
        max_message_bytes: int,
    ) -> None:
        self._addresses = {
            ENCODER_SERVICE: encoder_address,
            MATCHER_SERVICE: matcher_address,
            COLLECTION_SERVICE: matcher_address,
        }
        self._security, self._max_message_bytes = security, max_message_bytes
        self._states = dict.fromkeys(SERVICES, False)
        self._is_ending = False
        self._closing: set[asyncio.Task[None]] = set()
        self._check(insecure)

    def _check(self, insecure: bool) -> None:
        try:
            for service, address in self._addresses.items():
                check_address(address, service)
                if not (self._security.is_tls or insecure or is_loopback_target(target(address))):
                    raise SettingsInvalid(
                        f"{address} is on another machine, and images and keys would go there in plain text: "
                        "set services_tls_ca_file, or pass --insecure if the network keeps others out"
                    )
            if self._security.is_tls:
                self._security.credentials()
        except FacerecError as error:
            raise SettingsInvalid(str(error)) from None

    @property
    def has_certificate(self) -> bool:
        """Whether the services see a certificate of the gateway's."""
        return self._security.cert_file is not None

    def states(self) -> dict[str, bool]:
        """Whether calls to each service should be sent here, by its full name: it is SERVING."""
        return {name: serving and not self._is_ending for name, serving in self._states.items()}

    def readiness(self) -> dict[str, bool]:
        """The states that decide whether callers should be sent here: of the services that are SERVING.

        If none is, those of all: calls of one service are answered also while the other is away.
        """
        states = self.states()
        return {name: True for name, serving in states.items() if serving} or states

    def announce_end(self) -> None:
        """Report no service as ready from now on, so that balancers send their calls elsewhere."""
        self._is_ending = True

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the channels, and watch the services' states and the certificate files meanwhile."""
        self._files = WatchedFiles(
            self._security.files,
            lambda: _Channels(self._addresses, self._security, self._max_message_bytes),
            name="services_certificates",
        )
        watching = self._watch_states()
        renewing = asyncio.create_task(self._renew(watching)) if self._security.files else None
        try:
            yield
        finally:
            for task in [*watching, *self._closing, *([renewing] if renewing else [])]:
                task.cancel()
            await self._files.value.close()

    def _watch_states(self) -> list[asyncio.Task[None]]:
        channels = self._files.value.channels
        return [asyncio.create_task(self._watch(name, channel)) for name, channel in channels.items()]

    async def _watch(self, service: str, channel: grpc.aio.Channel) -> None:
        """Keep a service's state: a channel is ready while one replica is SERVING."""
        while True:
            state = channel.get_state(try_to_connect=True)
            self._states[service] = state is grpc.ChannelConnectivity.READY
            SERVING.labels(service).set(self._states[service])
            await channel.wait_for_state_change(state)

    async def _renew(self, watching: list[asyncio.Task[None]]) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            old = self._files.value
            if self._files.reload_if_changed():
                for task in watching:
                    task.cancel()
                watching[:] = self._watch_states()
                log.info("services_certificates_reloaded")
                closing = asyncio.create_task(old.close(CLOSE_SECONDS))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)

    def method(self, method: Method) -> Any:
        """The method over its channel: it takes and answers bytes."""
        return self._files.value.methods[method.path]


def _open(
    service: str,
    address: str,
    security: Security,
    max_message_bytes: int,
    more: Sequence[tuple[str, int]] = (),
) -> grpc.aio.Channel:
    sizes = {
        f"grpc.{name}": max_message_bytes
        for name in ("max_send_message_length", "max_receive_message_length", "per_rpc_retry_buffer_size")
    }
    chosen = dict(channel_options(service)) | sizes | {"grpc.max_reconnect_backoff_ms": MAX_RECONNECT_MS}
    options = [*chosen.items(), *security.options(), *more]
    if security.is_tls:
        return grpc.aio.secure_channel(target(address), security.credentials(), options)
    return grpc.aio.insecure_channel(target(address), options)


def _callable(channel: grpc.aio.Channel, method: Method) -> Any:
    make: Callable[..., Any] = getattr(channel, method.kind)
    return make(method.path, request_serializer=None, response_deserializer=None)
