"""Two collections that differ only in distances on the same side of every threshold."""

import asyncpg
import numpy as np

from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import transfer_pb2
from tests.benchmarks.vectors import Dataset
from tests.e2e.access.conftest import bearer
from tests.e2e.matcher.requests import SPACE, Vector
from tests.e2e.matcher.transfers import chunk, header
from tests.fixtures import dataset
from tests.fixtures.matcher import RunningMatcher
from tests.fixtures.vector_encoder import picture

# From a probe to its target in one collection and in the other: within the bound of a reduced-probe query
# (0.38), the acceptance threshold (0.45), the identify and verify thresholds (0.5 and 0.6), or beyond.
PAIRS = ((0.20, 0.47), (0.20, 0.41), (0.41, 0.47), (0.52, 0.58), (0.65, 0.90))
ALONE, SURROUNDED, SECOND_FACE = range(
    3
)  # the target by itself, among two others at 0.3, with a second face at 0.35
CLUSTERS = [(pair, kind) for pair in PAIRS for kind in (ALONE, SURROUNDED, SECOND_FACE)]
NEIGHBOR_DISTANCE, SECOND_DISTANCE = 0.3, 0.35
BACKGROUND = Dataset(1000, 3.0, seed=11)
SPARE = 80  # the first basis vector of faces that lie near nobody's
_BASIS = np.linalg.qr(np.random.default_rng(5).normal(size=(128, 128)))[0]


def base(cluster: int) -> Vector:
    """The vector of a cluster's probe."""
    return np.asarray(1.4 * _BASIS[cluster], np.float32)


def probe(cluster: int) -> pb.Probe:
    """A cluster's probe, as a picture."""
    return pb.Probe(image=picture(base(cluster)))


def target(cluster: int) -> str:
    """Whose distance a cluster is about; two others' ids lie on either side of it."""
    return f"c{cluster:02}-m"


def _away(cluster: int, distance: float, axis: int) -> Vector:
    """A vector so far from a cluster's probe: the target's for axis 20, else leaning towards the target.

    So two of a cluster are on the same side of each threshold in both collections.
    """
    along, across = _BASIS[20 + cluster], _BASIS[axis + cluster]
    direction = along if axis == 20 else 0.6 * along + 0.8 * across
    return np.asarray(base(cluster) + distance * direction, np.float32)


def planted(world: int) -> list[tuple[str, str, Vector]]:
    """Person, reference and vector of every planted face."""
    faces = []
    for cluster, (pair, kind) in enumerate(CLUSTERS):
        if kind == SURROUNDED:
            faces.append((f"c{cluster:02}-a", "", _away(cluster, NEIGHBOR_DISTANCE, 40)))
            faces.append((f"c{cluster:02}-z", "", _away(cluster, NEIGHBOR_DISTANCE, 60)))
        faces.append((target(cluster), "target", _away(cluster, pair[world], 20)))
        if kind == SECOND_FACE:
            faces.append((target(cluster), "", _away(cluster, SECOND_DISTANCE, 40)))
    return faces


def spares(names: list[str]) -> list[tuple[str, str, Vector]]:
    """Faces of people to be changed, merged and erased."""
    return [(name, "", np.asarray(1.4 * _BASIS[SPARE + i], np.float32)) for i, name in enumerate(names)]


async def build(
    matcher: RunningMatcher,
    administrator: asyncpg.Connection,
    collection_id: str,
    world: int,
    names: list[str],
    *,
    background: bool,
) -> None:
    """Make a collection, with 1,000 people more where it is to be indexed."""
    metadata = bearer("admin")
    search = pb.SearchPolicy(index_above_faces=1000)
    await matcher.collections.CreateCollection(
        pb.CreateCollectionRequest(
            collection_id=collection_id, settings=pb.CollectionSettings(search=search)
        ),
        metadata=metadata,
    )
    faces = [*planted(world), *spares(names)]
    vectors = np.array([vector for _, _, vector in faces])
    people, references = [face[0] for face in faces], [face[1] for face in faces]
    requests = [
        header(collection_id=collection_id, space=SPACE),
        chunk(vectors, people, external_refs=references),
    ]
    added: transfer_pb2.ImportFacesResponse = await matcher.stub.ImportFaces(
        iter(requests), metadata=metadata
    )
    assert added.faces_added == len(faces)
    if background:
        await dataset.load(administrator, BACKGROUND.all(), collection_id)
