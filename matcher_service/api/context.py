"""gRPC's context, as every handler takes it."""

from typing import Any

import grpc.aio

Context = grpc.aio.ServicerContext[Any, Any]
