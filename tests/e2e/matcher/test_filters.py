"""Identify finds whom numpy finds among some people or by all faces of a person, and nobody who is suspended,
however the collection is searched.
"""

import asyncio
import dataclasses
import itertools
import json
from collections.abc import Callable
from typing import Any

import asyncpg
import numpy as np
import pytest

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.identification import search
from matcher_service.maintenance import runner, sketches
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres.session import Session
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.vectors import Dataset, Faces
from tests.e2e.matcher.requests import encoding, retried
from tests.fixtures import dataset
from tests.fixtures.matcher import RunningMatcher, StartMatcher

PEOPLE = Dataset(2_000, 2.0, even=True, seed=31)
PERSON, FACE = (partition_name(parent, "default") for parent in ("person", "face"))
LOOKED_UP = 60  # a filter of one of 100 values selects 20 people, one of 2 selects 1,000


def labels(person: int) -> dict[str, str]:
    """The labels of a generated person: of 2, of 100 and of many values."""
    return {"half": "ab"[person % 2], "hundredth": f"v{person % 100}", "own": f"é{person}"}


@dataclasses.dataclass(frozen=True)
class Stored:
    """The faces of a collection that have not expired."""

    faces: Faces

    def among(self, vector: Any, threshold: float, selects: Callable[[int], bool]) -> list[str]:
        """Whom numpy finds within a threshold among some, nearest first."""
        distances = np.linalg.norm(self.faces.encodings.astype(float) - vector.astype(float), axis=1)
        places = [place for place in np.argsort(distances, kind="stable") if distances[place] <= threshold]
        people = [int(self.faces.people[place]) for place in places]
        return list(dict.fromkeys(dataset.person_id(each) for each in people if selects(each)))

    def alike(self, person: int, threshold: float) -> list[str]:
        """Whom else numpy finds by any of a person's faces, nearest first."""
        own = self.faces.people == person
        others = self.faces.encodings[~own].astype(float)
        faces = self.faces.encodings[own].astype(float)
        distances = np.linalg.norm(others[:, None] - faces, axis=2).min(axis=1)
        people = self.faces.people[~own]
        places = [place for place in np.argsort(distances, kind="stable") if distances[place] <= threshold]
        return list(dict.fromkeys(dataset.person_id(int(people[place])) for place in places))


@pytest.fixture(autouse=True)
async def people(administrator: asyncpg.Connection) -> None:
    """Two faces a person in the collection `default`, and labels."""
    await dataset.load(administrator, PEOPLE.all())
    first = await administrator.fetchval(f"SELECT min(person_key) FROM facerec.{PERSON}")
    await administrator.execute(
        f"UPDATE facerec.{PERSON} p SET labels = g.labels::jsonb"
        " FROM unnest($1::bigint[], $2::text[]) AS g(person_key, labels) WHERE p.person_key = g.person_key",
        [first + person for person in range(PEOPLE.people)],
        [json.dumps(labels(person)) for person in range(PEOPLE.people)],
    )


async def hide_some(administrator: asyncpg.Connection) -> Stored:
    """Let every seventh face expire, and suspend every eleventh person; the others' faces."""
    await administrator.execute(
        f"UPDATE facerec.{FACE} SET expire_time = now() - interval '1 s'"
        " WHERE hashtext(face_id::text) % 7 = 0"
    )
    await administrator.execute(f"UPDATE facerec.{PERSON} SET suspended = person_key % 11 = 0")
    rows = await administrator.fetch(
        f"SELECT p.person_id, f.encoding::real[] AS encoding FROM facerec.{FACE} f"
        f" JOIN facerec.{PERSON} p USING (person_key) WHERE f.expire_time > now() AND NOT p.suspended"
    )
    assert 0.5 < len(rows) / (2 * PEOPLE.people) < 0.95
    people = np.array([int(row["person_id"].removeprefix("p")) for row in rows])
    return Stored(Faces(people, np.array([row["encoding"] for row in rows], np.float32)))


async def index(administrator: asyncpg.Connection) -> None:
    """Index the collection, with a quarter of all lists read for each search, and all for a second."""
    schema = await administrator.fetchval(
        "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
    )
    await administrator.execute(f"SET search_path = {schema}")
    session = Session(administrator, "default", role="maintenance")
    for over in ("means", "centers"):
        await session.execute_named(f"index_{over}", index=f"near_{over}", lists="20")
    await administrator.execute("UPDATE facerec.collection SET index_effort = 20")


FILTERS: list[tuple[dict[str, list[str]], list[int], Callable[[int], bool]]] = [
    ({"half": ["a"]}, [], lambda person: person % 2 == 0),
    ({"half": ["a", "b"]}, [], lambda person: True),
    ({"hundredth": ["v7"]}, [], lambda person: person % 100 == 7),
    ({"hundredth": ["v1", "v4", "v8", "v30", "none"]}, [], lambda person: person % 100 in (1, 4, 8, 30)),
    ({"half": ["b"], "hundredth": ["v7", "v8"]}, [], lambda person: person % 100 == 7),
    ({"own": ["é12"]}, [], lambda person: person == 12),
    ({"half": ["c"]}, [], lambda person: False),
    ({}, list(range(900)), lambda person: person < 900),
    ({"half": ["a"]}, list(range(500)), lambda person: person < 500 and person % 2 == 0),
]


def person_filter(wanted: dict[str, list[str]], people: list[int]) -> pb.PersonFilter:
    return pb.PersonFilter(
        labels={key: pb.LabelValues(values=values) for key, values in wanted.items()},
        person_ids=map(dataset.person_id, people),
    )


async def find(matcher: RunningMatcher, probes: Any, threshold: float, chosen: pb.PersonFilter) -> Any:
    request = pb.IdentifyRequest(
        probes=list(map(encoding, probes)), max_candidates=20, max_distance=threshold, filter=chosen
    )
    return (await retried(matcher.stub.Identify, request)).faces


@pytest.mark.parametrize("kind", ["in one statement", "apart", "by sketches", "by index"])
async def test_a_search_among_some_or_by_a_person_finds_whom_numpy_finds(
    start_matcher: StartMatcher,
    database_url: str,
    administrator: asyncpg.Connection,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "MAX_LOOKED_UP", LOOKED_UP)
    monkeypatch.setattr(sketches, "MIN_FACES", 3_000 if kind == "by sketches" else 10**9)
    if kind == "by sketches":
        assert await runner.run_once(MaintenanceOptions(database_url))
    if kind == "by index":
        await index(administrator)
    stored = await hide_some(administrator)
    apart = 10**6 if kind == "in one statement" else 0
    matcher = await start_matcher(database_url, scan_apart_above_faces=apart)
    probes = np.concatenate([PEOPLE.genuine(8, draw=1).encodings, PEOPLE.non_mated(4, draw=2)])
    modes, found, differences = set[int](), 0, 0
    for (wanted, people, selects), threshold in itertools.product(FILTERS, (0.45, 0.7)):
        chosen = person_filter(wanted, people)
        for probe, answer in zip(probes, await find(matcher, probes, threshold, chosen), strict=True):
            modes.add(answer.mode)
            names = [candidate.person_id for candidate in answer.candidates]
            expected = stored.among(probe, threshold, selects)
            found += bool(expected)
            if answer.exact:
                differences += names != expected[:20]
                assert answer.matched_persons == min(len(expected), 101)
            else:  # an accepted result: the nearest is there, and others may be missing
                differences += names[:1] != expected[:1] or not set(names) <= set(expected)
    assert differences == 0
    assert found > 50
    assert (pb.SEARCH_MODE_INDEX in modes) == (kind == "by index")
    await check_persons(matcher, stored)


async def check_persons(matcher: RunningMatcher, stored: Stored) -> None:
    """Compare searches by persons with numpy's."""
    persons = sorted({int(person) for person in stored.faces.people})[:60:10]
    found = 0
    for exact_only, threshold in ((True, 0.9), (False, 1.1)):
        request = pb.IdentifyRequest(
            probes=[pb.Probe(person_id=dataset.person_id(person)) for person in persons],
            max_candidates=20,
            max_distance=threshold,
            exact_only=exact_only,
        )
        for person, answer in zip(
            persons, (await retried(matcher.stub.Identify, request)).faces, strict=True
        ):
            names = [candidate.person_id for candidate in answer.candidates]
            expected = stored.alike(person, threshold)
            found += len(expected)
            assert answer.exact
            assert names == expected[:20]
            assert answer.matched_persons == min(len(expected), 101)
            pairs = [(each.face_id, each.probe_face_id) for each in answer.candidates]
            assert len(set(pairs)) == len(pairs)
    assert found > 50


async def test_searches_that_share_a_scan_keep_their_own_filters(
    start_matcher: StartMatcher,
    database_url: str,
    administrator: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "MAX_LOOKED_UP", LOOKED_UP)
    stored = await hide_some(administrator)
    matcher = await start_matcher(database_url, scan_apart_above_faces=0, scan_pool_size=1)
    (probe,) = PEOPLE.genuine(1, draw=5).encodings
    many = [each for each in FILTERS if each[0]] * 3
    calls = [find(matcher, [probe], 0.9, person_filter(wanted, people)) for wanted, people, _ in many]
    for (_, _, selects), (answer,) in zip(many, await asyncio.gather(*calls), strict=True):
        assert [each.person_id for each in answer.candidates] == stored.among(probe, 0.9, selects)[:20]
