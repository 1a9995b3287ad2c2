"""A caller that tries to learn distances which its key does not permit."""

from typing import Any

import grpc.aio
import numpy as np
import numpy.typing as npt

import facerec.matcher.v1 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from tests.e2e.access.conftest import bearer
from tests.fixtures.vector_encoder import picture

Vector = npt.NDArray[np.float32]


class Attacker:
    """Holds a key of all roles but admin, without scores, and one with them to compare by."""

    def __init__(self, channel: grpc.aio.Channel, vectors: Vector) -> None:
        self._stubs: tuple[Any, ...] = (
            pb.MatcherServiceStub(channel),
            matcher_pb2_grpc.CollectionServiceStub(channel),
        )
        self.vectors = vectors
        self.random = np.random.default_rng(11)

    async def ask(self, method: str, request: Any, key: str = "blind") -> Any:
        """Ask; None where it is refused."""
        stub = next(getattr(each, method) for each in self._stubs if hasattr(each, method))
        try:
            return await stub(request, metadata=bearer(key), timeout=60)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.PERMISSION_DENIED:
                raise
            return None

    def at(self, person: int, distance: float) -> Vector:
        """A vector so far from a person's face, in a direction of chance."""
        return self.beside(self.vectors[person], distance)

    def beside(self, vector: Vector, distance: float) -> Vector:
        """A vector so far from another."""
        direction = self.random.normal(size=128)
        return np.asarray(vector + distance * direction / np.linalg.norm(direction), np.float32)

    async def identify(self, vector: Vector, key: str = "blind", **options: Any) -> Any:
        """The answer for one face."""
        request = pb.IdentifyRequest(probes=[pb.Probe(image=picture(vector))], **options)
        return (await self.ask("Identify", request, key)).faces[0]

    async def enroll(self, person_id: str, vector: Vector, key: str = "blind") -> Any:
        """Enroll one face, and return what became of it."""
        items = [pb.EnrollItem(probe=pb.Probe(image=picture(vector)))]
        return (await self.ask("Enroll", pb.EnrollRequest(person_id=person_id, items=items), key)).faces[0]
