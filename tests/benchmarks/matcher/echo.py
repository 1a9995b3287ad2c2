"""A server whose handler does nothing: the upper limit for any Python gRPC service.

It takes and gives messages of Verify, on the event loop that the matcher runs on; with the argument
`middleware` behind the matcher's middleware.
"""

import sys
from typing import Any

import grpc.aio

from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.serving.server import loop
from facerec.serving.server.server import Server, ServerOptions, Service
from matcher_service.api.roles import MATCHER_LARGE, MATCHER_PROBES, MATCHER_ROLES
from matcher_service.service import MATCHER

ANSWER = pb.VerifyResponse(
    match=True,
    distance=0.35,
    threshold=0.6,
    nearest_face_id="00000000-0000-4000-8000-000000000000",
    faces_compared=2,
    space="dlib-resnet-v1/small/150x0.25",
)


class Echo(matcher_pb2_grpc.MatcherServiceServicer):
    async def Verify(self, request: pb.VerifyRequest, context: Any) -> pb.VerifyResponse:
        return ANSWER


def _register(server: grpc.aio.Server) -> None:
    matcher_pb2_grpc.add_MatcherServiceServicer_to_server(Echo(), server)  # type: ignore[abstract]


async def main() -> None:
    server = grpc.aio.server()
    _register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await _serve(f"127.0.0.1:{port}")
    await server.stop(0.2)


async def main_behind_middleware() -> None:
    service = Service(MATCHER, _register, MATCHER_ROLES, MATCHER_PROBES, MATCHER_LARGE)
    server = Server(ServerOptions("127.0.0.1:0"), [service])
    await server.start()
    await _serve(server.address)
    await server.stop()


async def _serve(address: str) -> None:
    print(address, flush=True)
    await loop.termination().wait()


if __name__ == "__main__":
    loop.run(main_behind_middleware() if "middleware" in sys.argv else main())
