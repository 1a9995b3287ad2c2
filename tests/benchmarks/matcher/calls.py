"""The benchmark's requests, and calls to the matcher."""

from typing import Any

import grpc.aio

from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.benchmarks.vectors import Vectors
from tests.fixtures.dataset import SPACE, person_id

_VERIFY = "/facerec.matcher.v1.MatcherService/Verify"


def probe(vector: Vectors) -> pb.Probe:
    return pb.Probe(encoding=encoder_pb2.Encoding(values=vector.tolist(), space=SPACE))


def verify(person: int, vector: Vectors, collection_id: str = "default") -> pb.VerifyRequest:
    return pb.VerifyRequest(collection_id=collection_id, person_id=person_id(person), probe=probe(vector))


def identify(vector: Vectors, collection_id: str = "default", **options: Any) -> pb.IdentifyRequest:
    return pb.IdentifyRequest(collection_id=collection_id, probes=[probe(vector)], **options)


def enroll(person: str, *vectors: Vectors, collection_id: str = "default") -> pb.EnrollRequest:
    items = [pb.EnrollItem(probe=probe(vector)) for vector in vectors]
    return pb.EnrollRequest(collection_id=collection_id, person_id=person, items=items)


def who(face: pb.IdentifiedFace) -> int | None:
    """The generated person a face was taken for, or nobody."""
    return int(face.candidates[0].person_id.removeprefix("p")) if face.candidates else None


class Calls:
    """A matcher as its callers have it; `verify_bytes` sends messages serialized before."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        # The generated stub's annotations are those of blocking calls.
        self.stub: Any = matcher_pb2_grpc.MatcherServiceStub(channel)
        self.collections: Any = matcher_pb2_grpc.CollectionServiceStub(channel)
        self.verify_bytes: Any = channel.unary_unary(_VERIFY)

    async def identify(self, request: pb.IdentifyRequest) -> pb.IdentifiedFace:
        response: pb.IdentifyResponse = await self.stub.Identify(request, timeout=60)
        return response.faces[0]
