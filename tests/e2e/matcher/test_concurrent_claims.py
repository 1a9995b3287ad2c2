"""Claims that wait together are answered by one statement, each as if it were alone."""

import asyncio
import uuid

import grpc.aio
import numpy as np
import pytest
from prometheus_client import REGISTRY

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.blocking import held, waiting
from tests.e2e.matcher.requests import encoding, enroll, vectors
from tests.e2e.matcher.transfers import LOCKED, connections
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.waiting import until

PEOPLE = 30
FACES = vectors(2 * PEOPLE)
PROBES = (FACES[::2] + 0.03 * vectors(PEOPLE, seed=1)).astype(np.float32)
WAITING = ("facerec_matcher_waiting", {"kind": "call"})
PERSON_LOCKED = f"LOCK TABLE facerec.{partition_name('person', 'default')} IN ACCESS EXCLUSIVE MODE"


@pytest.fixture
async def matcher(start_matcher: StartMatcher, database_url: str) -> RunningMatcher:
    """A matcher whose claims wait for a lock as long as it takes on a busy machine."""
    patient = {f"{name}_seconds": 30 for name in ("pool_wait", "lock_timeout", "statement_timeout")}
    return await start_matcher(database_url, **patient)


def name(person: int) -> str:
    return f"p{person}"


async def enroll_all(matcher: RunningMatcher) -> list[list[str]]:
    """Everybody with two faces; the faces' ids."""
    responses = await asyncio.gather(
        *(
            matcher.stub.Enroll(enroll(name(i), encoding(FACES[2 * i]), encoding(FACES[2 * i + 1])))
            for i in range(PEOPLE)
        )
    )
    return [[item.face.face_id for item in response.faces] for response in responses]


async def together(
    matcher: RunningMatcher, database_url: str, requests: list[pb.VerifyRequest]
) -> list[object]:
    """Answers, or errors' reasons, of claims that all wait for one statement, which a lock holds up."""
    async with held(database_url, PERSON_LOCKED):
        first = asyncio.ensure_future(
            matcher.stub.Verify(pb.VerifyRequest(person_id="p0", probe=encoding(PROBES[0])))
        )
        await waiting(database_url)
        calls = [asyncio.ensure_future(matcher.stub.Verify(request)) for request in requests]
        await until(lambda: REGISTRY.get_sample_value(*WAITING) == len(requests))
        assert await connections(database_url, LOCKED) == 1
    await first
    return [_outcome(found) for found in await asyncio.gather(*calls, return_exceptions=True)]


def _outcome(found: object) -> object:
    return from_rpc_error(found, "the matcher").reason if isinstance(found, grpc.aio.AioRpcError) else found


async def test_claims_of_one_statement_are_answered_as_numpy_does(
    matcher: RunningMatcher, database_url: str
) -> None:
    ids = await enroll_all(matcher)
    claimed = [(person, probe) for person in range(PEOPLE) for probe in (person, (person + 1) % PEOPLE)]
    answers = await together(
        matcher,
        database_url,
        [
            pb.VerifyRequest(person_id=name(person), probe=encoding(PROBES[probe]))
            for person, probe in claimed
        ],
    )
    for (person, probe), answer in zip(claimed, answers, strict=True):
        assert isinstance(answer, pb.VerifyResponse)
        own = FACES[2 * person : 2 * person + 2].astype(float)
        distances = np.linalg.norm(own - PROBES[probe].astype(float), axis=1)
        assert answer.distance == np.float64(answer.distance)
        assert abs(answer.distance - distances.min()) < 1e-6
        assert answer.nearest_face_id == ids[person][int(distances.argmin())]
        assert answer.faces_compared == 2
        assert answer.match == (person == probe)


async def test_a_claim_that_cannot_be_answered_spoils_no_other(
    matcher: RunningMatcher, database_url: str
) -> None:
    ids = await enroll_all(matcher)
    stored = pb.Probe(face_id=ids[3][1])
    answers = await together(
        matcher,
        database_url,
        [
            pb.VerifyRequest(person_id="p1", probe=encoding(PROBES[1])),
            pb.VerifyRequest(person_id="nobody", probe=encoding(PROBES[1])),
            pb.VerifyRequest(person_id="p1", probe=pb.Probe(face_id=str(uuid.uuid4()))),
            pb.VerifyRequest(person_id="p1", probe=encoding(PROBES[1], space="another")),
            pb.VerifyRequest(person_id="p3", probe=stored),
            pb.VerifyRequest(person_id="p2", probe=encoding(PROBES[2]), max_distance=0.01),
        ],
    )
    first, nobody, no_face, other_space, own, strict = answers
    assert (nobody, no_face, other_space) == (
        Reason.PERSON_NOT_FOUND,
        Reason.FACE_NOT_FOUND,
        Reason.MODEL_MISMATCH,
    )
    assert isinstance(first, pb.VerifyResponse)
    assert first.match
    assert isinstance(own, pb.VerifyResponse)
    assert (own.distance, own.nearest_face_id) == (0, ids[3][1])
    assert isinstance(strict, pb.VerifyResponse)
    assert (strict.match, strict.threshold) == (False, 0.01)


async def test_pairs_are_compared_together_each_as_if_alone(matcher: RunningMatcher) -> None:
    ids = await enroll_all(matcher)
    requests = [
        pb.CompareRequest(probe_a=encoding(PROBES[i]), probe_b=pb.Probe(face_id=ids[i][0]))
        for i in range(PEOPLE)
    ]
    requests.append(
        pb.CompareRequest(probe_a=encoding(PROBES[0]), probe_b=pb.Probe(face_id=str(uuid.uuid4())))
    )
    calls = [asyncio.ensure_future(matcher.stub.Compare(request)) for request in requests]
    *found, missing = map(_outcome, await asyncio.gather(*calls, return_exceptions=True))
    assert missing == Reason.FACE_NOT_FOUND
    for i, answer in enumerate(found):
        assert isinstance(answer, pb.CompareResponse)
        assert (
            abs(answer.distance - np.linalg.norm(FACES[2 * i].astype(float) - PROBES[i].astype(float))) < 1e-6
        )
