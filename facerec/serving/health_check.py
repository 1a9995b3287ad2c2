"""Asks over gRPC whether a service is SERVING."""

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from facerec.proxies import NO_PROXY

WAIT_SECONDS = 3.0
# A service that is starting refuses connections; gRPC would try again only after a second.
_OPTIONS = [*((f"grpc.{name}_reconnect_backoff_ms", 50) for name in ("initial", "min", "max")), *NO_PROXY]


def is_serving(address: str, service: str = "", *, wait_seconds: float = WAIT_SECONDS) -> bool:
    """Whether the gRPC health service at `address`, HOST:PORT in plain text, answers SERVING.

    `service` is a full name, "" for the overall state. False if no answer comes within `wait_seconds`.
    """
    with grpc.insecure_channel(address, options=_OPTIONS) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = stub.Check(request, timeout=wait_seconds)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
