"""A collection that is to be indexed, its maintenance, and searches in it."""

from typing import Any

import asyncpg
import grpc.aio
import numpy as np
import numpy.typing as npt

from facerec.encoder.v1 import encoder_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import matcher_pb2_grpc
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.vectors import Dataset, Faces
from tests.fixtures import dataset
from tests.fixtures.matcher import RunningMatcher

PEOPLE = Dataset(1000, 3.0, seed=11)
PERSONS, FACES = (partition_name(parent, "default") for parent in ("person", "face"))
INDEX, EXACT, CONFIRMED = pb.SEARCH_MODE_INDEX, pb.SEARCH_MODE_EXACT, pb.SEARCH_MODE_INDEX_CONFIRMED


async def load_people(administrator: asyncpg.Connection) -> Faces:
    """Fill the collection `default` with some 3,000 faces, which it is to index."""
    faces = PEOPLE.all()
    await dataset.load(administrator, faces)
    await administrator.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    return faces


class Collections:
    """CollectionService of the matcher under test."""

    def __init__(self, matcher: RunningMatcher) -> None:
        self._address = matcher.address

    async def __call__(self, method: str, request: Any) -> Any:
        async with grpc.aio.insecure_channel(self._address) as channel:
            return await getattr(matcher_pb2_grpc.CollectionServiceStub(channel), method)(request)

    async def index(self) -> pb.SearchIndex:
        index: pb.SearchIndex = (await self("GetCollection", pb.GetCollectionRequest())).collection.index
        return index


async def maintain(url: str) -> bool:
    return await runner.run_once(MaintenanceOptions(url))


def probe(vector: npt.NDArray[np.float32]) -> pb.Probe:
    return pb.Probe(encoding=encoder_pb2.Encoding(values=vector.tolist(), space=dataset.SPACE))


async def identify(matcher: RunningMatcher, vector: Any, **options: Any) -> pb.IdentifiedFace:
    request = pb.IdentifyRequest(probes=[probe(vector)], **options)
    answer: pb.IdentifiedFace = (await matcher.stub.Identify(request)).faces[0]
    return answer


def nearest(faces: Faces, vector: npt.NDArray[np.float32]) -> tuple[str, float]:
    """Who numpy finds, and how far away."""
    distances = np.linalg.norm(faces.encodings.astype(np.float64) - vector.astype(np.float64), axis=1)
    place = int(np.argmin(distances))
    return dataset.person_id(int(faces.people[place])), float(distances[place])
