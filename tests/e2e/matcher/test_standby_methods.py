"""Every method that may read from a standby does, by index and without, and answers as the primary does."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import numpy as np
import pytest

from facerec.matcher.v1 import calibration_pb2, review_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.benchmarks.vectors import Dataset
from tests.e2e.matcher.reading import reading, reads
from tests.e2e.matcher.requests import encoding
from tests.e2e.matcher.transfers import export, exported
from tests.fixtures.dataset import load
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.standbys import Replication, replicated

PEOPLE = Dataset(1000, 3.0, seed=12)
FACES = PEOPLE.all()


@pytest.fixture(scope="module", params=["indexed", "exact"])
def servers(request: pytest.FixtureRequest) -> Iterator[Replication]:
    """A collection of a thousand people, with an index or without."""
    with replicated() as replication:
        asyncio.run(fill(replication.primary.url(), indexed=request.param == "indexed"))
        yield replication


async def fill(url: str, *, indexed: bool) -> None:
    connection = await asyncpg.connect(url)
    try:
        await load(connection, FACES)
        await connection.execute("UPDATE facerec.collection SET index_above_faces = 1000")
    finally:
        await connection.close()
    if indexed:
        await runner.run_once(MaintenanceOptions(url))


async def identify(matcher: RunningMatcher) -> Any:
    """Of enrolled people by index, and of somebody who is not enrolled, which takes a scan."""
    unenrolled = np.zeros(128, np.float32)
    unenrolled[0] = 1.42
    probes = [encoding(vector) for vector in (*FACES.encodings[:5], unenrolled)]
    found = await matcher.stub.Identify(pb.IdentifyRequest(probes=probes))
    return [[each.person_id for each in face.candidates] for face in found.faces]


async def calibrate(matcher: RunningMatcher) -> Any:
    request = calibration_pb2.CalibrateRequest(target_far=0.1)
    found = (await matcher.collections.Calibrate(request)).calibration
    return found.genuine_persons, found.genuine_pairs, found.impostor_pairs


async def measure_recall(matcher: RunningMatcher) -> Any:
    found = await matcher.collections.MeasureRecall(review_pb2.MeasureRecallRequest(samples=20))
    return found.indexed, found.samples


async def list_duplicates(matcher: RunningMatcher) -> Any:
    request = review_pb2.ListDuplicatesRequest(max_distance=0.5, page_size=5)
    page = await matcher.collections.ListDuplicates(request)
    return [(each.person_id_a, each.person_id_b) for each in page.pairs]


async def export_faces(matcher: RunningMatcher) -> Any:
    persons, vectors = exported(await export(matcher))
    return persons, vectors.tobytes()


@pytest.mark.parametrize("method", [identify, calibrate, measure_recall, list_duplicates, export_faces])
async def test_a_method_reads_from_the_standby_and_answers_as_the_primary(
    start_matcher: StartMatcher, servers: Replication, method: Callable[[RunningMatcher], Awaitable[Any]]
) -> None:
    primary = await start_matcher(servers.primary.url(), scan_apart_above_faces=0)
    standby = await reading(start_matcher, servers, scan_apart_above_faces=0, replay_wait_seconds=10)
    expected = await method(primary)
    before = reads("standby"), reads("primary")
    assert await method(standby) == expected
    assert reads("standby") > before[0]
    assert reads("primary") == before[1]
