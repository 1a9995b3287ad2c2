"""Who waits for an exact scan shares the next one, and each finds what a scan of their own would find."""

import asyncio
import uuid
from typing import Any

import asyncpg
import grpc.aio
import numpy as np
import pytest
from prometheus_client import REGISTRY

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.identification.exact_scan import MAX_PROBES, Scan
from matcher_service.postgres.statements import partition_name
from matcher_service.postgres.vectors import vectors_wire
from tests.benchmarks.vectors import Dataset, Faces
from tests.e2e.matcher.requests import encoding
from tests.fixtures import dataset
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import until

PEOPLE = Dataset(1000, 3.0, seed=11)
THRESHOLDS = (0.35, 0.45, 0.6, 1.0)
WAITING = ("facerec_matcher_waiting", {"kind": "scan"})
PATIENT = {f"{name}_seconds": 30 for name in ("scan_wait", "scan_timeout")}


@pytest.fixture
async def faces(administrator: asyncpg.Connection) -> Faces:
    """What the collection `default` holds: some 3,000 faces."""
    faces = PEOPLE.all()
    await dataset.load(administrator, faces)
    await administrator.execute(f"ANALYZE facerec.{partition_name('face', 'default')}")
    return faces


@pytest.fixture
async def matcher(start_matcher: StartMatcher, database_url: str) -> RunningMatcher:
    """A matcher that scans apart whatever the size, one scan at a time."""
    return await start_matcher(database_url, scan_apart_above_faces=0, scan_pool_size=1, **PATIENT)


async def together(
    matcher: RunningMatcher, requests: list[pb.IdentifyRequest], *, answered: int = 0
) -> list[Any]:
    """The results, or error reasons, of searches that wait while another scan holds the only connection.

    `answered` of them are answered before, without a scan.
    """
    identify = matcher.stub.Identify
    async with matcher.service._database.scan_session("default"):
        first = asyncio.ensure_future(identify(request(PEOPLE.all().encodings[0])))
        await until(lambda: REGISTRY.get_sample_value(*WAITING) == 1)
        calls = [asyncio.ensure_future(identify(each)) for each in requests]
        await until(lambda: REGISTRY.get_sample_value(*WAITING) == 1 + len(requests) - answered)
    await first
    return [_outcome(found) for found in await asyncio.gather(*calls, return_exceptions=True)]


def _outcome(found: Any) -> Any:
    if isinstance(found, grpc.aio.AioRpcError):
        return from_rpc_error(found, "the matcher").reason
    return found.faces[0]


def request(vector: Any, **options: Any) -> pb.IdentifyRequest:
    return pb.IdentifyRequest(probes=[encoding(vector)], exact_only=True, max_candidates=20, **options)


def expected(faces: Faces, vector: Any, threshold: float) -> list[tuple[str, float]]:
    """Who numpy finds within a threshold, nearest first, 20 at most."""
    distances = np.linalg.norm(faces.encodings.astype(np.float64) - vector.astype(np.float64), axis=1)
    nearest: dict[str, float] = {}
    for place in np.argsort(distances, kind="stable"):
        if distances[place] > threshold:
            break
        nearest.setdefault(dataset.person_id(int(faces.people[place])), float(distances[place]))
    return list(nearest.items())[:20]


async def test_searches_of_one_scan_find_what_numpy_finds(matcher: RunningMatcher, faces: Faces) -> None:
    enrolled = PEOPLE.genuine(12, draw=2).encodings
    unenrolled = PEOPLE.non_mated(9, draw=3)
    vectors = np.concatenate([enrolled, unenrolled])
    thresholds = [THRESHOLDS[i % len(THRESHOLDS)] for i in range(len(vectors))]
    assert len(vectors) > MAX_PROBES
    answers = await together(
        matcher,
        [request(vector, max_distance=limit) for vector, limit in zip(vectors, thresholds, strict=True)],
    )
    found_somebody = 0
    for vector, limit, answer in zip(vectors, thresholds, answers, strict=True):
        known = expected(faces, vector, limit)
        assert [candidate.person_id for candidate in answer.candidates] == [person for person, _ in known]
        np.testing.assert_allclose(
            [candidate.distance for candidate in answer.candidates], [far for _, far in known], atol=1e-6
        )
        assert (answer.mode, answer.exact, answer.faces_searched) == (
            pb.SEARCH_MODE_EXACT,
            True,
            len(faces.people),
        )
        found_somebody += bool(known)
    assert 12 <= found_somebody < len(vectors)


async def test_a_search_that_cannot_be_answered_spoils_no_other(
    matcher: RunningMatcher, faces: Faces, administrator: asyncpg.Connection
) -> None:
    face = partition_name("face", "default")
    row = await administrator.fetchrow(
        f"SELECT face_id, encoding::real[] FROM facerec.{face} LIMIT 1 OFFSET 7"
    )
    assert row is not None
    vector = np.array(row["encoding"], np.float32)
    good, stored, gone, other_space = await together(
        matcher,
        [
            request(vector, max_distance=0.3),
            pb.IdentifyRequest(
                probes=[pb.Probe(face_id=str(row["face_id"]))], exact_only=True, max_distance=0.3
            ),
            pb.IdentifyRequest(probes=[pb.Probe(face_id=str(uuid.uuid4()))], exact_only=True),
            pb.IdentifyRequest(probes=[encoding(vector, space="another")], exact_only=True),
        ],
        answered=2,
    )
    assert (gone, other_space) == (Reason.FACE_NOT_FOUND, Reason.MODEL_MISMATCH)
    assert good.candidates[0].distance == 0
    assert list(stored.candidates) == list(good.candidates)
    assert [candidate.person_id for candidate in good.candidates] == [
        person for person, _ in expected(faces, vector, 0.3)
    ]


async def test_a_person_merged_during_a_scan_is_found(
    matcher: RunningMatcher, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = dataset.person_id(int(faces.people[0])), dataset.person_id(int(faces.people[-1]))
    compare = Scan._compare

    async def merge_afterwards(self: Scan, *arguments: Any, **options: Any) -> None:
        await compare(self, *arguments, **options)
        await matcher.stub.MergePersons(
            pb.MergePersonsRequest(source_person_id=source, target_person_id=target)
        )

    monkeypatch.setattr(Scan, "_compare", merge_afterwards)
    (found,) = (await matcher.stub.Identify(request(faces.encodings[0], max_distance=0.1))).faces
    assert (found.candidates[0].person_id, found.candidates[0].distance) == (source, 0)


def test_vectors_of_another_length_are_not_concatenated() -> None:
    with pytest.raises(ValueError, match="128 values"):
        vectors_wire([np.zeros(512, np.float32), np.zeros(128, np.float32)])
