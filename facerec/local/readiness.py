"""Asks a service over the wire whether it can do its work."""

import contextlib
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health_pb2

from facerec.proxies import NO_PROXY
from facerec.serving.server.address import Address

PROBE_SECONDS = 1.0
# A service just starting refuses connections; gRPC's own back-off would begin at a second.
_BACKOFF = [(f"grpc.{name}_reconnect_backoff_ms", 50) for name in ("initial", "min", "max")]
_OPTIONS = [*_BACKOFF, *NO_PROXY]  # a proxy that the environment names cannot reach this machine


class Readiness:
    """Health of one service at one address."""

    def __init__(self, address: Address, full_name: str) -> None:
        self._channel = grpc.insecure_channel(str(address), options=_OPTIONS)
        self._check: grpc.UnaryUnaryMultiCallable[
            health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse
        ] = self._channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        self._request = health_pb2.HealthCheckRequest(service=full_name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def serving(self) -> bool:
        """Whether it is SERVING just now; False too when it does not answer."""
        with contextlib.suppress(grpc.RpcError):
            answer = self._check(self._request, timeout=PROBE_SECONDS)
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
        return False
