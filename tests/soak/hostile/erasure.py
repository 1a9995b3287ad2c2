"""Erase people, scrub, and look for them: in every file but the log, in statistics, by guesses."""

import asyncio
import dataclasses
import hmac
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import asyncpg
from google.protobuf import struct_pb2

from facerec.matcher.v1 import erasure_pb2
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.matcher.v1 import transfer_pb2 as tb
from matcher_service.domain.content_hash import content_digest, content_id
from matcher_service.domain.faces import Photo, Probe
from matcher_service.maintenance import runner, sketches
from matcher_service.maintenance.runner import MaintenanceOptions
from tests.e2e.matcher.requests import SPACE, encoding, vectors
from tests.fixtures.matcher import RunningMatcher
from tests.fixtures.vector_encoder import own_quality, picture, vector_encoder
from tests.soak import remains
from tests.soak.hostile.report import CheckResult
from tests.soak.stage import start, stop

ERASED = 100
MERGED = 20
PHOTOS = 2
CHUNK = 2000
FREE_TEXT = "photo of Ann Smith, born 1980-01-01"
ANALYZE_SECONDS = 120


@dataclasses.dataclass(frozen=True)
class Search:
    """What was found of erased persons before a scrub and after it, and what the receipts say."""

    before: remains.Remains
    after: remains.Remains
    in_statistics: list[str]
    guessed: int
    states: set[str]
    fingerprints: int


def attack(*, short: bool) -> list[CheckResult]:
    """Erase 100 of 10,000 people, 1,500 in the short form."""
    people = 1500 if short else 10_000
    folder = Path(tempfile.mkdtemp(prefix="facerec-soak-"))
    folder.chmod(0o755)  # under root Postgres runs as another user, which must enter it
    try:
        with mock.patch.multiple(sketches, MIN_FACES=people, MIN_PERSONS=people // 2):
            found = asyncio.run(search(folder, people))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    erased = f"{ERASED} of {people:,} erased, {MERGED} merged"
    statistics = ", ".join(found.in_statistics) or "no column"
    return [
        CheckResult("erasure, before a scrub", f"{erased}: {found.before}", _has_all_kinds(found.before)),
        CheckResult("erasure, after a scrub", f"{erased}: {found.after}", not found.after.persons),
        CheckResult("erasure, receipts", ", ".join(sorted(found.states)), found.states == {"SCRUBBED"}),
        CheckResult("erasure, statistics of persons", statistics, not found.in_statistics),
        CheckResult("erasure, digests guessed", f"{found.guessed} of {ERASED}", not found.guessed),
        CheckResult(
            "erasure, free text as fingerprint", f"{found.fingerprints} rows", not found.fingerprints
        ),
    ]


def _has_all_kinds(found: remains.Remains) -> bool:
    """Whether the search finds what it looks for, in the tables that hold it."""
    return {"encoding", "quality", "half centroid", "sketch", "axis", "word", "label", "metadata"} <= {
        what for _, what in found.persons
    }


async def search(folder: Path, people: int) -> Search:
    """Import, enroll, merge and export people, erase some, and look for them everywhere."""
    async with vector_encoder(own_quality) as encoder:
        return await _search(folder, people, encoder)


async def _search(folder: Path, people: int, encoder: str) -> Search:
    opened, matcher, channel = await start(folder, encoder_address=encoder)
    url = opened.url()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        await connection.execute("SELECT pg_reload_conf()")
        faces, ids = vectors(PHOTOS * people), [person_id(number) for number in range(people)]
        gone, merged = ids[:: people // ERASED][:ERASED], ids[1 :: people // MERGED][:MERGED]
        await _fill(matcher, faces, ids, gone)
        await runner.run_once(MaintenanceOptions(url))  # builds the index
        await _wait_for_analyze(connection)
        wanted = await remains.needles(connection, gone)
        wanted += [each for each in await remains.needles(connection, merged) if each.what in ("id", "name")]
        await _use(matcher, faces, gone, merged)
        receipts = [await matcher.stub.DeletePerson(pb.DeletePersonRequest(person_id=each)) for each in gone]
        before = await remains.search(url, folder, wanted)
        await runner.run_once(MaintenanceOptions(url))
        await runner.run_once(MaintenanceOptions(url, scrub=True))
        return Search(
            before,
            await remains.search(url, folder, wanted),
            await _statistics(connection),
            await _guessed(connection, faces, ids, gone),
            {await _state(matcher, receipt.erasure_id) for receipt in receipts},
            await _fingerprints(matcher, connection, faces[:1]),
        )
    finally:
        await connection.close()
        await stop(opened, matcher, channel)


def person_id(number: int) -> str:
    """An id as callers use them although they should not."""
    return f"patient-{number:05}@clinic.example"


async def _fill(matcher: RunningMatcher, faces: Any, ids: Sequence[str], gone: Sequence[str]) -> None:
    """Import people with two photos each; enroll those who will go, by request ids that name them."""
    settings = pb.CollectionSettings(search=pb.SearchPolicy(index_above_faces=1000))
    settings.duplicate_policy = pb.DUPLICATE_POLICY_ALLOW
    await matcher.collections.UpdateCollection(pb.UpdateCollectionRequest(settings=settings))

    async def parts() -> AsyncIterator[tb.ImportFacesRequest]:
        yield tb.ImportFacesRequest(header=tb.ImportHeader(space=SPACE, import_id="all of them"))
        for first in range(0, len(faces), CHUNK):
            numbers = range(first, min(first + CHUNK, len(faces)))
            yield tb.ImportFacesRequest(
                chunk=tb.FaceChunk(
                    encodings=faces[first : first + CHUNK].astype("<f4").tobytes(),
                    person_ids=[ids[number // PHOTOS] for number in numbers],
                    display_names=[f"Doe, Bearer-{number // PHOTOS:05}" for number in numbers],
                    external_refs=[f"file {number:06} of photos" for number in numbers],
                    attributes=[_attributes(number // PHOTOS) for number in numbers],
                )
            )

    await matcher.stub.ImportFaces(parts())
    for each in gone:
        await matcher.stub.Enroll(_request(each, faces[PHOTOS * ids.index(each)]))


def _attributes(number: int) -> tb.Attributes:
    metadata = struct_pb2.Struct()
    metadata.update({"note": f"allergic to {number:05}"})
    return tb.Attributes(labels={"badge": f"badge of bearer {number:05}"}, metadata=metadata)


def _request(name: str, face: Any) -> pb.EnrollRequest:
    item = pb.EnrollItem(probe=pb.Probe(image=picture(face)))
    return pb.EnrollRequest(person_id=name, items=[item], request_id=f"enroll {name}")


async def _use(matcher: RunningMatcher, faces: Any, gone: Sequence[str], merged: Sequence[str]) -> None:
    """Verify, search, merge and export, as goes on before an erasure."""
    for name, face in zip(gone[:20], faces, strict=False):
        await matcher.stub.Verify(pb.VerifyRequest(person_id=name, probe=encoding(face)))
        await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(face)]))
    for name in merged:
        target = person_id(int(name[8:13]) + 1)
        merge = pb.MergePersonsRequest(source_person_id=name, target_person_id=target)
        await matcher.stub.MergePersons(merge)
    async for _ in matcher.stub.ExportFaces(tb.ExportFacesRequest()):
        pass


async def _wait_for_analyze(connection: asyncpg.Connection) -> None:
    """Until autovacuum has analyzed the collection's people, faces and requests."""
    async with asyncio.timeout(ANALYZE_SECONDS):
        while (  # noqa: ASYNC110 - Postgres tells nobody
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_user_tables WHERE last_autoanalyze IS NOT NULL"
                " AND schemaname = 'facerec' AND relname ~ '^(person|face|enroll_request)_[0-9a-f]{32}$'"
            )
            < 3
        ):
            await asyncio.sleep(0.1)


async def _statistics(connection: asyncpg.Connection) -> list[str]:
    """Columns and expressions of people, faces and requests of which values are in pg_statistic."""
    await connection.execute("ANALYZE")
    rows = await connection.fetch(
        "SELECT DISTINCT split_part(s.tablename, '_', 1) || '.' || s.attname AS name"
        " FROM pg_stats s WHERE s.schemaname = 'facerec'"
        " AND s.tablename ~ '^(person|face|enroll_request|rotation|sketch)(_|$)'"
        " AND s.tablename <> 'face_import'"
        " AND s.attname NOT IN ('collection_id', 'person_key', 'model_key', 'number')"
        " AND (s.most_common_vals IS NOT NULL OR s.histogram_bounds IS NOT NULL) ORDER BY 1"
    )
    return [row["name"] for row in rows]


async def _guessed(
    connection: asyncpg.Connection, faces: Any, ids: Sequence[str], gone: Sequence[str]
) -> int:
    """How many erased persons somebody finds who knows their photos and guesses their ids."""
    kept = {row["digest"] for row in await connection.fetch("SELECT digest FROM facerec.enroll_request")}
    keys = [row["audit_key"].bytes for row in await connection.fetch("SELECT audit_key FROM facerec.person")]
    guessed = 0
    for each in gone:
        photo = Photo(picture(faces[PHOTOS * ids.index(each)]))
        digest = content_digest(each, None, [(Probe(photo, ""), await content_id(photo), "")])
        guessed += bool(kept & {digest, *(hmac.digest(key, digest, "sha256") for key in keys)})
    return guessed


async def _state(matcher: RunningMatcher, erasure_id: str) -> str:
    answer = await matcher.stub.GetErasure(erasure_pb2.GetErasureRequest(erasure_id=erasure_id))
    return erasure_pb2.ErasureState.Name(answer.state).removeprefix("ERASURE_STATE_")


async def _fingerprints(matcher: RunningMatcher, connection: asyncpg.Connection, faces: Any) -> int:
    """How many rows, which all collections share, a caller gets free text into."""

    async def parts() -> AsyncIterator[tb.ImportFacesRequest]:
        yield tb.ImportFacesRequest(header=tb.ImportHeader(space=SPACE, import_id="texts"))
        yield tb.ImportFacesRequest(
            chunk=tb.FaceChunk(
                encodings=faces.astype("<f4").tobytes(), person_ids=["ann"], fingerprints=[FREE_TEXT]
            )
        )

    await matcher.stub.ImportFaces(parts())
    found = await connection.fetchval(
        "SELECT count(*) FROM facerec.model m WHERE m.fingerprint = $1", FREE_TEXT
    )
    return int(found)
