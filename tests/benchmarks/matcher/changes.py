"""Adding and deleting people in a collection of a million faces, and enrollments per second."""

import contextlib
import functools
import itertools
import tempfile
import time
from pathlib import Path

import grpc.aio
import numpy as np

from facerec.client.failures import from_rpc_error
from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.benchmarks.matcher import calls, driving
from tests.benchmarks.matcher.peers import KnnPickle, took
from tests.benchmarks.matcher.stage import NEWCOMER, Stage, erase_newcomers
from tests.benchmarks.matcher.tables import Figure, Seconds, Table, milliseconds
from tests.benchmarks.vectors import Faces, Vectors

IN_FLIGHT = 16
UNINDEXED = "bench-unindexed"
ALLOW, FLAG = pb.DUPLICATE_POLICY_ALLOW, pb.DUPLICATE_POLICY_FLAG
REFUSE = pb.DUPLICATE_POLICY_REFUSE
GOALS = {"neither": 300, "index and duplicate check": 100, "exact duplicate check that refuses": 20}


async def run(
    stage: Stage, *, changes: int = 300, rounds: int = 3, seconds: float = 4.0, pickle_faces: int = 100_000
) -> Table:
    """Time single changes with and without the duplicate check, then enrollments with many in flight."""
    fresh = Newcomers(stage)
    figures = []
    for policy, check in ((ALLOW, "no duplicate check"), (FLAG, "duplicate check by the index")):
        await put_policy(stage, policy)
        added, deleted = await fresh.one_by_one(changes)
        goal = Figure.at_most if policy == ALLOW else _without_goal
        figures += [
            goal(f"add a person, {check}, p50", milliseconds(added), 5, " ms"),
            Figure.plain(f"add a person, {check}, p99", milliseconds(added, 99), " ms"),
        ]
        if policy == ALLOW:
            figures += [
                Figure.at_most("delete a person, p50", milliseconds(deleted), 5, " ms"),
                Figure.plain("delete a person, p99", milliseconds(deleted, 99), " ms"),
            ]
    figures += [
        Figure.plain(f"KNN pickle of {faces:,} faces trained again", seconds, " s")
        for faces, seconds in retrained(stage.faces, pickle_faces)
    ]
    figures += await rates(stage, fresh, rounds, seconds)
    return Table.of_figures(f"Changes, {len(stage.faces.people):,} faces", figures)


async def rates(stage: Stage, fresh: "Newcomers", rounds: int, seconds: float) -> list[Figure]:
    """Enrollments per second: with index and check, with the index, with neither, with an exact check."""
    unindexed = pb.DeleteCollectionRequest(collection_id=UNINDEXED, force=True)
    with contextlib.suppress(grpc.aio.AioRpcError):  # there is one if a run was cut short
        await stage.calls.collections.DeleteCollection(unindexed)
    await stage.calls.collections.CreateCollection(pb.CreateCollectionRequest(collection_id=UNINDEXED))
    kinds = {
        "index and duplicate check": ("default", FLAG),
        "index, no duplicate check": ("default", ALLOW),
        "neither": (UNINDEXED, ALLOW),
        "exact duplicate check that refuses": ("default", REFUSE),
    }
    seen: dict[str, list[float]] = {name: [] for name in kinds}
    try:
        for _ in range(rounds):
            for name, (collection, policy) in kinds.items():
                await put_policy(stage, policy, collection)
                seen[name].append(await fresh.rate(seconds, collection))
    finally:
        await put_policy(stage, FLAG)
        await erase_newcomers(stage.url)
        await stage.calls.collections.DeleteCollection(unindexed)
    medians = {name: float(np.median(values)) for name, values in seen.items()}
    return [
        (Figure.at_least if name in GOALS else _without_goal)(
            f"Enroll, {IN_FLIGHT} in flight, {name}", value, GOALS.get(name, 0), " a second"
        )
        for name, value in medians.items()
    ]


def retrained(faces: Faces, most: int) -> list[tuple[int, float]]:
    """How long training and pickling takes at growing sizes, up to `most` faces."""
    sizes = [size for size in (10_000, 100_000, 1_000_000) if size <= min(most, len(faces.people))]
    with tempfile.TemporaryDirectory() as folder:
        parts = [Faces(faces.people[:size], faces.encodings[:size]) for size in sizes or [len(faces.people)]]
        return [(len(part.people), took(functools.partial(KnnPickle, part, Path(folder)))) for part in parts]


class Newcomers:
    """People who are added and deleted, each with one encoding and a new id."""

    def __init__(self, stage: Stage, vectors: int = 4096) -> None:
        self._stage = stage
        self._vectors: Vectors = stage.dataset.non_mated(vectors, draw=7)
        self._numbers = itertools.count()
        self._run = time.time_ns()

    def _name(self, number: int) -> str:
        return f"{NEWCOMER}{self._run}-{number}"

    async def one_by_one(self, count: int, collection: str = "default") -> tuple[Seconds, Seconds]:
        """How long adding, and then deleting, each of `count` people takes."""
        first, *_ = [next(self._numbers) for _ in range(count)]

        async def delete(number: int) -> None:
            request = pb.DeletePersonRequest(collection_id=collection, person_id=self._name(number))
            response = await self._stage.calls.stub.DeletePerson(request, timeout=30)
            assert response.faces_deleted == 1

        added = await driving.one_by_one(lambda number: self._add(number, collection), count, first)
        return added, await driving.one_by_one(delete, count, first)

    async def rate(self, seconds: float, collection: str) -> float:
        """Enrollments per second; the caller must erase them."""

        async def send(_: int) -> None:
            await self._add(next(self._numbers), collection)

        return await driving.rate(send, in_flight=IN_FLIGHT, seconds=seconds)

    async def _add(self, number: int, collection: str) -> None:
        vector = self._vectors[number % len(self._vectors)]
        request = calls.enroll(self._name(number), vector, collection_id=collection)
        try:
            response = await self._stage.calls.stub.Enroll(request, timeout=30)
        except grpc.aio.AioRpcError as error:
            # Refused as a duplicate, it was searched for all the same.
            failure = from_rpc_error(error, "the matcher")
            assert failure.reason is Reason.FACE_DUPLICATE, failure
        else:
            assert response.person_created


async def put_policy(stage: Stage, policy: pb.DuplicatePolicy.ValueType, collection: str = "default") -> None:
    settings = pb.CollectionSettings(duplicate_policy=policy)
    request = pb.UpdateCollectionRequest(collection_id=collection, settings=settings)
    await stage.calls.collections.UpdateCollection(request)


def _without_goal(what: str, seen: float, _: float, unit: str) -> Figure:
    return Figure.plain(what, seen, unit)
