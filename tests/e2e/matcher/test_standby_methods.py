"""Every method that may read from a standby does, by index and without, and answers as the primary does."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import asyncpg
import grpc.aio
import numpy as np
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import calibration_pb2, review_pb2, transfer_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1.consistency_pb2 import ReadConsistency
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.benchmarks.matcher.calls import Calls
from tests.benchmarks.matcher.standbys import Servers, compare
from tests.benchmarks.vectors import Dataset
from tests.e2e.matcher.reading import learned, reading, reads, stale
from tests.e2e.matcher.requests import encoding, refused
from tests.e2e.matcher.transfers import exported
from tests.fixtures.dataset import load, person_id
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.standbys import Replication, kill, replicated

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


async def identify(matcher: RunningMatcher, consistency: ReadConsistency | None) -> Any:
    """Of enrolled people by index, and of somebody who is not enrolled, which takes a scan."""
    unenrolled = np.zeros(128, np.float32)
    unenrolled[0] = 1.42
    probes = [encoding(vector) for vector in (*FACES.encodings[:5], unenrolled)]
    found = await matcher.stub.Identify(pb.IdentifyRequest(probes=probes, consistency=consistency))
    photos = pb.IdentifyRequest(probes=[probes[0]] * 2, same_person=True, consistency=consistency)
    fused = await matcher.stub.Identify(photos)
    candidates = [[each.person_id for each in face.candidates] for face in (*found.faces, *fused.faces)]
    return candidates, found.expected_false_positives


async def calibrate(matcher: RunningMatcher, consistency: ReadConsistency | None) -> Any:
    request = calibration_pb2.CalibrateRequest(target_fmr=0.1, photos=1, consistency=consistency)
    found = (await matcher.collections.Calibrate(request)).calibration
    return (
        [each.persons for each in found.scores],
        found.genuine_persons,
        found.genuine_pairs,
        found.impostor_pairs,
    )


async def measure_recall(matcher: RunningMatcher, consistency: ReadConsistency | None) -> Any:
    request = review_pb2.MeasureRecallRequest(samples=20, consistency=consistency)
    found = await matcher.collections.MeasureRecall(request)
    return found.indexed, found.samples


async def list_duplicates(matcher: RunningMatcher, consistency: ReadConsistency | None) -> Any:
    request = review_pb2.ListDuplicatesRequest(max_distance=0.5, page_size=5, consistency=consistency)
    page = await matcher.collections.ListDuplicates(request)
    return [(each.person_id_a, each.person_id_b) for each in page.pairs]


async def list_inconsistent_faces(matcher: RunningMatcher, consistency: ReadConsistency | None) -> Any:
    whose = person_id(int(np.bincount(FACES.people).argmax()))
    request = review_pb2.ListInconsistentFacesRequest(person_id=whose, consistency=consistency)
    page = await matcher.collections.ListInconsistentFaces(request)
    return page.faces_examined, page.exact


async def export_faces(matcher: RunningMatcher, consistency: ReadConsistency | None) -> Any:
    request = transfer_pb2.ExportFacesRequest(consistency=consistency)
    persons, vectors = exported([part async for part in matcher.stub.ExportFaces(request)])
    return persons, vectors.tobytes()


METHODS = (identify, calibrate, measure_recall, list_duplicates, list_inconsistent_faces, export_faces)
STORING = (calibrate, export_faces)  # methods whose answer needs a row on the primary
Method: TypeAlias = Callable[[RunningMatcher, ReadConsistency | None], Awaitable[Any]]


@pytest.mark.parametrize("method", METHODS)
async def test_a_method_reads_from_the_standby_and_answers_as_the_primary(
    start_matcher: StartMatcher, servers: Replication, method: Method
) -> None:
    primary = await start_matcher(servers.primary.url(), scan_apart_above_faces=0)
    standby = await reading(start_matcher, servers, scan_apart_above_faces=0, replay_wait_seconds=10)
    expected = await method(primary, None)
    before = reads("standby"), reads("primary")
    assert await method(standby, None) == expected
    assert reads("standby") > before[0]
    assert reads("primary") == before[1]


async def test_without_the_primary_methods_that_store_nothing_go_on_and_others_are_refused(
    start_matcher: StartMatcher, servers: Replication
) -> None:
    """Also what a calibration that is in force says of a search."""
    matcher = await reading(start_matcher, servers, scan_apart_above_faces=0, replay_wait_seconds=10)
    request = calibration_pb2.CalibrateRequest(target_fmr=0.1)
    calibration_id = (await matcher.collections.Calibrate(request)).calibration.calibration_id
    await matcher.collections.ApplyCalibration(
        calibration_pb2.ApplyCalibrationRequest(calibration_id=calibration_id)
    )
    expected = {method: await method(matcher, None) for method in METHODS}
    cold = await reading(start_matcher, servers, scan_apart_above_faces=0)
    await learned(cold, servers)
    before = reads("standby", "bounded")
    assert [await method(cold, stale(60)) for method in STORING] == [expected[each] for each in STORING]
    assert reads("standby", "bounded") == before + 2
    kill(servers.primary)
    try:
        for method in METHODS:
            with refused(Reason.STORE_UNAVAILABLE) if method in STORING else contextlib.nullcontext():
                assert await method(cold, stale(60)) == expected[method]
            with refused(Reason.STORE_UNAVAILABLE):
                await method(cold, None)
    finally:
        servers.primary.start()
    assert expected[identify][1] > 0


async def test_the_cost_of_searches_is_measured_by_server(
    start_matcher: StartMatcher, servers: Replication
) -> None:
    """The short form of the benchmark's part."""
    alone = await start_matcher(servers.primary.url())
    aided = await reading(start_matcher, servers, replay_wait_seconds=10)
    async with (
        grpc.aio.insecure_channel(alone.address) as to_alone,
        grpc.aio.insecure_channel(aided.address) as to_aided,
    ):
        measured = Servers(servers.primary, servers.standbys[0], Calls(to_alone), Calls(to_aided))
        table = await compare(measured, PEOPLE, blocks=1, searches=20, scans=5, idle_seconds=0.1)
    of_the_standby = [float(row[2]) for row in table.rows]
    assert of_the_standby[1] > of_the_standby[0]
    assert of_the_standby[3] > of_the_standby[2]
