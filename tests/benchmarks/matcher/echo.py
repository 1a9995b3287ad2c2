"""A server whose handler does nothing: the upper limit for any Python gRPC service.

It takes and gives messages of Verify, on the event loop that the matcher runs on.
"""

import asyncio
from typing import Any

import grpc.aio

from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from facerec.serving.server import loop

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


async def main() -> None:
    server = grpc.aio.server()
    matcher_pb2_grpc.add_MatcherServiceServicer_to_server(Echo(), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    termination = asyncio.create_task(loop.wait_for_termination())
    await termination
    await server.stop(0.2)


if __name__ == "__main__":
    loop.run(main())
