"""gRPC server reflection, v1 and v1alpha."""

from collections.abc import Sequence

import grpc
import grpc.aio
from grpc_reflection.v1alpha import _async, reflection, reflection_pb2, reflection_pb2_grpc

V1ALPHA = reflection.SERVICE_NAME
V1 = "grpc.reflection.v1.ServerReflection"


def register(server: grpc.aio.Server, names: Sequence[str]) -> None:
    """Let callers list and describe the named services.

    grpcio-reflection supports v1alpha only; v1 differs only in the service's name, so the same servicer
    answers under both names. v1 has no descriptor here and is therefore not listed.
    """
    servicer = _async.ReflectionServicer([*names, V1ALPHA])
    add = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
    add(servicer, server)  # type: ignore[no-untyped-call]
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_registered_method_handlers(V1, {"ServerReflectionInfo": handler})
