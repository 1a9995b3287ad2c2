"""Health over gRPC; the admin port serves the same states over HTTP.

One servicer answers `grpc.health.v1.Health` on the main port, and if `health_address` is set also on a
port of its own, for health checks of containers and load balancers that use neither TLS nor keys. `admin`
answers /livez and /readyz from the same states. A service starts as NOT_SERVING.
"""

import asyncio
import dataclasses
from collections.abc import Iterable

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from facerec.serving.fairness.evicting_set import FairEvictingSet
from facerec.serving.middleware.chain import Context, host
from facerec.serving.middleware.reading.reader import HEALTH_BYTES
from facerec.serving.observability.metrics import SERVING
from facerec.serving.server import address, grpc_server
from facerec.serving.server.errors import AddressInUse

SERVICE_NAME = health.SERVICE_NAME
OVERALL = ""
MAX_WATCHES = 2048  # each takes about 20 KB


class _Servicer(health.aio.HealthServicer):
    """The health servicer with at most MAX_WATCHES streams of Watch, which need no key.

    One more ends the oldest stream of the host with the most, as RESOURCE_EXHAUSTED.
    """

    def __init__(self) -> None:
        super().__init__()
        self._watching = FairEvictingSet(MAX_WATCHES)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        task = asyncio.current_task()
        assert task is not None
        owner, evicted = host(context), False

        def evict() -> None:
            nonlocal evicted
            evicted = True
            task.cancel()

        self._watching.add(owner, task, evict)
        try:
            await super().Watch(request, context)
        except asyncio.CancelledError:
            if not evicted:
                raise
            task.uncancel()
        finally:
            self._watching.remove(owner, task)
        await context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"at most {MAX_WATCHES} streams of Watch are served; this was the oldest of its host",
        )


class Health:
    """The health states: of each service, and of "", which is SERVING when all services are."""

    def __init__(self, names: Iterable[str]) -> None:
        self._servicer = _Servicer()
        self._serving = dict.fromkeys(names, False)

    def register(self, server: grpc.aio.Server) -> None:
        """Add the Health service to a server."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def publish(self) -> None:
        """Announce every state.

        Called before the server starts, as gRPC's servicer starts as SERVING, and at each change.
        """
        for name, serving in self._serving.items():
            SERVING.labels(name).set(serving)
            await self._servicer.set(name, _state(serving))
        await self._servicer.set(OVERALL, _state(all(self._serving.values())))

    async def set(self, name: str, serving: bool) -> None:
        """Announce a service's state, and the overall state."""
        if self._serving[name] != serving:
            self._serving[name] = serving
            await self.publish()

    def states(self) -> dict[str, bool]:
        """Whether each service is SERVING, by name."""
        return dict(self._serving)

    async def shut_down(self) -> None:
        """Announce NOT_SERVING for good."""
        self._serving = dict.fromkeys(self._serving, False)
        for name in self._serving:
            SERVING.labels(name).set(0)
        await self._servicer.enter_graceful_shutdown()


class HealthPort:
    """A port for health checks only, in plain text, for clients that use neither TLS nor keys.

    `at` is HOST:PORT, `health_service` has the states. Raises AddressInvalid.
    """

    def __init__(self, at: str, health_service: Health) -> None:
        self._address = address.parse(at)
        self._server = grpc_server.create(grpc_server.limits(HEALTH_BYTES))
        health_service.register(self._server)

    @property
    def address(self) -> str:
        """The `HOST:PORT` listened on."""
        return str(self._address)

    async def start(self) -> None:
        """Listen. Raises AddressInUse."""
        try:
            port = self._server.add_insecure_port(str(self._address))
        except RuntimeError as error:
            raise AddressInUse(f"cannot listen on {self._address}: the port is taken") from error
        self._address = dataclasses.replace(self._address, port=port)
        await self._server.start()

    async def stop(self) -> None:
        """Close the port."""
        await self._server.stop(0)


def _state(serving: bool) -> int:
    response = health_pb2.HealthCheckResponse
    return response.SERVING if serving else response.NOT_SERVING
