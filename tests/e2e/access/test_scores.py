"""Without scores nobody learns of a distance whether it is smaller or larger on its side of the threshold.

Two collections differ in nothing but such distances; every RPC is asked of both by keys of each role.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.identification.exact_scan import ExactScanner
from matcher_service.identification.search import Search
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.contract import test_ranges as bases
from tests.contract.distance_fields import FIELDS, METADATA, Disclosure
from tests.e2e.access import paired_collections as paired
from tests.e2e.access.conftest import bearer, entry
from tests.e2e.access.every_rpc import Recorder
from tests.e2e.matcher.requests import enroll, refused
from tests.fixtures.matcher import RunningMatcher, StartMatcher
from tests.fixtures.vector_encoder import picture, vector_encoder

ALL = ("verify", "identify", "enroll", "manage")
KEYS = {**{role: (role,) for role in ALL}, "blind": ALL, "sighted": ALL}
"""Names of keys, which are the keys themselves, and their roles; `sighted` alone has scores."""
SPARES = [f"{key}-{number}" for key in KEYS for number in (1, 2)]
DISTANCE_RPCS = {"Verify", "Identify", "Compare", "Enroll", "ListDuplicates", "ListInconsistentFaces"}
MEASURING_RPCS = {"Calibrate", "MeasureRecall"}
RECALL_RPCS = {"GetCollection", "UpdateCollection"}  # they tell what was measured of an index


@pytest.fixture
async def locked(
    start_matcher: StartMatcher, database_url: str, keys_file: Callable[..., Path]
) -> AsyncIterator[RunningMatcher]:
    """A matcher with those keys, whose pictures are vectors."""
    path = keys_file(
        entry("admin", "admin", ["admin"]),
        *(entry(key, key, roles, "scores = true" * (key == "sighted")) for key, roles in KEYS.items()),
    )
    async with vector_encoder() as address:
        yield await start_matcher(database_url, keys_file=path, encoder_address=address)


async def build(
    matcher: RunningMatcher, administrator: asyncpg.Connection, database_url: str, *, indexed: bool
) -> None:
    """Create both collections; an index finds each person it should, as all of its lists are searched."""
    for world, name in enumerate(("near", "far")):
        await paired.build(matcher, administrator, name, world, SPARES, background=indexed)
    if indexed:
        assert await runner.run_once(MaintenanceOptions(database_url))
        await administrator.execute(
            "UPDATE facerec.collection SET index_effort = 100 WHERE collection_id IN ('near', 'far')"
        )
        for name in ("near", "far"):
            request = pb.GetCollectionRequest(collection_id=name)
            got = await matcher.collections.GetCollection(request, metadata=bearer("admin"))
            assert got.collection.index.ready


@pytest.mark.parametrize("indexed", [False, True], ids=["scanned", "indexed"])
async def test_answers_are_equal_where_distances_differ_on_one_side_of_the_threshold(
    locked: RunningMatcher, administrator: asyncpg.Connection, database_url: str, indexed: bool
) -> None:
    await build(locked, administrator, database_url, indexed=indexed)
    methods = {method.name for service in (bases.MATCHER, bases.COLLECTIONS) for method in service.methods}
    withheld = {
        name for name, disclosure in FIELDS.items() if disclosure in (Disclosure.WITHHELD, Disclosure.REFUSED)
    }
    shown = set[str]()
    for key in KEYS:
        near, far = (Recorder(locked, key, name) for name in ("near", "far"))
        await near.everything()
        await far.everything()
        assert {method for method, _ in near.answers} == methods
        different = {a[0] for a, b in zip(near.answers, far.answers, strict=True) if a != b}
        if key == "sighted":
            assert DISTANCE_RPCS <= different <= DISTANCE_RPCS | MEASURING_RPCS | RECALL_RPCS
            shown = near.fields
        else:
            assert not different, key
            assert not near.fields & withheld
            reasons = {answer[0] for _, answer in near.answers if isinstance(answer, tuple)}
            assert reasons <= {
                *(
                    "NOT_PERMITTED",
                    "FACE_DUPLICATE",
                    "FACE_INCONSISTENT",
                    "PERSON_EXISTS",
                    "PERSON_SUSPENDED",
                ),
                "ERASURE_NOT_FOUND",
            }
            metadatas = [answer[3] for _, answer in near.answers if isinstance(answer, tuple)]
            assert {name for metadata in metadatas for name in metadata} <= {name for _, name in METADATA}
    # Otherwise it would prove nothing that a caller without scores was shown none of these.
    withheld = {name for name, disclosure in FIELDS.items() if disclosure is Disclosure.WITHHELD}
    assert shown >= {name for name in withheld if indexed or not name.startswith("SearchIndex.")}


class Statements:
    """What each search has run: index queries with their shares, and scans."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run: list[Any] = []
        propose, scan = Search._query, ExactScanner.scan

        async def spy_on_query(search: Search, query: Any, **shares: float) -> Any:
            self.run.append((shares.get("lists_share", 1.0), shares.get("acceptance_share", 1.0)))
            return await propose(search, query, **shares)

        async def spy_on_scan(scanner: ExactScanner, query: Any) -> Any:
            self.run.append("scan")
            return await scan(scanner, query)

        monkeypatch.setattr(Search, "_query", spy_on_query)
        monkeypatch.setattr(ExactScanner, "scan", spy_on_scan)


async def test_the_statements_of_a_search_depend_only_on_the_match(
    locked: RunningMatcher,
    administrator: asyncpg.Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each statement takes time, which callers can measure."""
    await build(locked, administrator, database_url, indexed=True)
    statements = Statements(monkeypatch)

    async def path(key: str, collection_id: str, cluster: int) -> list[Any]:
        statements.run.clear()
        request = pb.IdentifyRequest(collection_id=collection_id, probes=[paired.probe(cluster)])
        await locked.stub.Identify(request, metadata=bearer(key))
        return list(statements.run)

    differ = set()
    for cluster, (pair, kind) in enumerate(paired.CLUSTERS):
        paths = [await path("identify", name, cluster) for name in ("near", "far")]
        found = kind != paired.ALONE or pair[1] <= 0.5
        assert paths[0] == paths[1] == [(1.0, 1.0), *([] if found else ["scan"])], (pair, kind)
        if await path("sighted", "near", cluster) != await path("sighted", "far", cluster):
            differ.add((pair, kind))
    assert differ == {(pair, paired.ALONE) for pair in paired.PAIRS[:3]}


async def test_candidates_are_ordered_by_id_and_matched_persons_counts_beyond_the_limit(
    locked: RunningMatcher, administrator: asyncpg.Connection
) -> None:
    await paired.build(locked, administrator, "near", 0, SPARES, background=False)
    cluster = paired.CLUSTERS.index((paired.PAIRS[0], paired.SURROUNDED))
    request = pb.IdentifyRequest(collection_id="near", probes=[paired.probe(cluster)], max_candidates=1)
    names = [f"c{cluster:02}-{letter}" for letter in "amz"]
    for key, first in (("identify", names[0]), ("sighted", names[1])):
        (face,) = (await locked.stub.Identify(request, metadata=bearer(key))).faces
        assert ([each.person_id for each in face.candidates], face.matched_persons) == ([first], 3)
    request.max_candidates = 5
    (face,) = (await locked.stub.Identify(request, metadata=bearer("identify"))).faces
    assert [each.person_id for each in face.candidates] == names


async def test_the_command_says_that_several_are_within_the_threshold(
    locked: RunningMatcher, administrator: asyncpg.Connection, tmp_path: Path
) -> None:
    await paired.build(locked, administrator, "near", 0, SPARES, background=False)
    cluster = paired.CLUSTERS.index((paired.PAIRS[0], paired.SURROUNDED))
    photo, key = tmp_path / "photo", tmp_path / "key"
    photo.write_bytes(picture(paired.base(cluster)))
    said = {}
    for name in ("identify", "sighted"):
        key.write_text(name)
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "facerec", "identify", photo, "--collection", "near"),
            *("--matcher", locked.address),
            env=os.environ | {"FACEREC_API_KEY_FILE": str(key)},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await command.communicate()
        assert command.returncode == 0
        said[name] = out.decode()
    assert "face 1: 3 people are within the threshold, in the order of their ids" in said["identify"]
    assert "searched" not in said["identify"]
    assert said["identify"].count("withheld") == 3
    assert "in the order" not in said["sighted"]
    assert "faces searched" in said["sighted"]


async def test_more_people_than_an_index_querys_are_counted_by_a_scan(
    locked: RunningMatcher,
    administrator: asyncpg.Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a caller's own faces could push a more distant person out of an answer."""
    await build(locked, administrator, database_url, indexed=True)
    cluster = paired.CLUSTERS.index((paired.PAIRS[2], paired.ALONE))
    own = [f"own{number:02}" for number in range(50)]
    vectors = paired.base(cluster)
    for number, name in enumerate(own):
        vectors[127] = 0.05 + number / 1000
        request = enroll(name, pb.Probe(image=picture(vectors)), collection_id="far")
        enrolled = await locked.stub.Enroll(request, metadata=bearer("blind"))
        assert enrolled.faces[0].duplicate.person_id == paired.target(cluster)
    await administrator.execute("ANALYZE")
    statements = Statements(monkeypatch)
    search = pb.IdentifyRequest(collection_id="far", probes=[paired.probe(cluster)], max_candidates=50)
    (face,) = (await locked.stub.Identify(search, metadata=bearer("identify"))).faces
    assert face.candidates[0].person_id == paired.target(cluster)
    assert (face.matched_persons, statements.run[-1]) == (51, "scan")
    one = enroll("anna", pb.Probe(image=picture(paired.base(cluster))), collection_id="far")
    again = await locked.stub.Enroll(one, metadata=bearer("enroll"))
    assert again.faces[0].duplicate.person_id == paired.target(cluster)


async def test_calls_that_set_or_measure_distance_limits_need_scores(locked: RunningMatcher) -> None:
    settings = pb.CollectionSettings(search=pb.SearchPolicy(acceptance_threshold=0.3))
    request = pb.UpdateCollectionRequest(settings=settings)
    with refused(Reason.NOT_PERMITTED, "settings.search.acceptance_threshold"):
        await locked.collections.UpdateCollection(request, metadata=bearer("manage"))
    await locked.collections.UpdateCollection(request, metadata=bearer("sighted"))
    for method in ("Calibrate", "MeasureRecall"):
        asked = bases.BASES[bases.COLLECTIONS.full_name]()[method]
        with refused(Reason.NOT_PERMITTED, "collection_id"):
            await getattr(locked.collections, method)(asked, metadata=bearer("manage"))
