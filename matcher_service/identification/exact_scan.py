"""Exact scans, each shared by the searches that wait: one statement if there was no short request for a
second, else short steps.

A scan uses a core for a quarter of a second per million faces, and the scheduler delays short requests of a
tenth of a millisecond until the scan's time slice ends. In steps of a few milliseconds, each of which waits
until no short request is in flight, a short request waits for one step at most. All steps read one snapshot.

Reading a face costs more than comparing it, so the searches of a collection that wait go into the next scan
together. Up to the distance that `maintain` measured for a collection, a scan reads its sketches, a third of
the bytes, and the faces of those whom they leave; beyond it, where they leave too many, all faces.
"""

import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from facerec.contract import DIMENSIONS
from matcher_service.domain.faces import Encoding, SearchMode
from matcher_service.identification.query import (
    Query,
    QueryResult,
    SearchResult,
    candidates,
)
from matcher_service.identification.scan_passes import STEP_BLOCKS, Pass, Probe, passes
from matcher_service.postgres.batching import Batcher
from matcher_service.postgres.database import YIELD_SECONDS, Database, Row, Session
from matcher_service.postgres.driver_errors import retried_on_schema_change
from matcher_service.postgres.short_requests import ShortRequests
from matcher_service.postgres.vectors import vectors_wire

MAX_PROBES = 16  # of one scan: then another probe costs as much as a scan of its own for every sixteenth
QUIET_SECONDS = 1.0  # without a short request for so long, there is none to yield to
WHOLE = frozenset({"first_row", "end_row"})  # parameters of a step, which a scan in one statement has not
_NO_VECTOR = np.zeros(DIMENSIONS, np.float32)


class Scanned(NamedTuple):
    """What the searches of a scan have in common; `max_staleness` as in Query."""

    collection_id: str
    max_staleness: float | None

    @classmethod
    def by(cls, query: Query) -> "Scanned":
        """That of a query."""
        return cls(query.collection_id, query.max_staleness)


class ExactScanner:
    """Runs exact scans in their own pool, up to MAX_PROBES of a collection together.

    Searches that allow different staleness share none: one that allows less could fail by the primary's loss.
    """

    def __init__(self, database: Database, *, wait_seconds: float, scans: int) -> None:
        """`wait_seconds` is how long a scan waits to begin, `scans` how many run at once."""
        self._database = database
        self._batcher = Batcher(
            self._scan, max_batch=MAX_PROBES, max_running=scans, wait_seconds=wait_seconds, kind="scan"
        )

    def check_capacity(self, query: Query) -> None:
        """Raises Overloaded where a scan would be refused at once."""
        self._batcher.check_capacity(Scanned.by(query))

    async def scan(self, query: Query) -> QueryResult:
        """Compare every face.

        Raises CollectionNotFound, StoreUnavailable, and Overloaded where too many are asked for.
        """
        return await self._batcher.submit(Scanned.by(query), query)

    @retried_on_schema_change
    async def _scan(
        self, scanned: Scanned, queries: Sequence[Query], callers: frozenset[str]
    ) -> list[QueryResult]:
        collection_id, max_staleness = scanned
        lent = self._database.scan_session(collection_id, max_staleness=max_staleness, callers=callers)
        async with lent as session:
            short_requests = self._database.short_requests
            # One snapshot for all statements: a person who is merged meanwhile is found all the same.
            async with session.transaction("repeatable_read", readonly=True):
                scan = Scan(session, queries)
                if session.on_primary and short_requests.seen_within(QUIET_SECONDS):
                    return await scan.run_in_steps(short_requests)
                return await scan.run_whole()


class Scan:
    """One scan of a collection for several probes, over one session whose transaction reads one snapshot."""

    def __init__(self, session: Session, queries: Sequence[Query]) -> None:
        self._session = session
        self._queries = queries

    async def run_whole(self) -> list[QueryResult]:
        """Compare all faces in one statement. Raises CollectionNotFound."""
        probes = await self._begin()
        for each in passes(probes):
            await self._compare(each, without=WHOLE)
        return [await self._answer(probe) for probe in probes]

    async def run_in_steps(self, short_requests: ShortRequests) -> list[QueryResult]:
        """Compare all faces in steps between short requests.

        Raises CollectionNotFound.
        """
        probes = await self._begin()
        for each in passes(probes):
            blocks, first = each.blocks, 0
            while first < blocks:
                await short_requests.wait_until_idle(YIELD_SECONDS)
                busy = short_requests.seen_within(QUIET_SECONDS)
                end = first + STEP_BLOCKS if busy else blocks
                await self._compare(each, first_row=(first, 0), end_row=(end, 0))
                first = end
        return [await self._answer(probe) for probe in probes]

    async def _begin(self) -> list[Probe]:
        faces = [query.face for query in self._queries]
        rows = await self._session.required_rows(
            "begin_scan",
            face_ids=[face if isinstance(face, uuid.UUID) else None for face in faces],
            encodings=vectors_wire(
                [face.values if isinstance(face, Encoding) else _NO_VECTOR for face in faces]
            ),
        )
        return [Probe.of(query, row) for query, row in zip(self._queries, rows, strict=True)]

    async def _compare(self, part: Pass, *, without: frozenset[str] = frozenset(), **rows: Any) -> None:
        hits = await self._session.rows(part.statement, without=without, **part.values, **rows)
        for row in hits:
            part.probes[row["number"] - 1].add(row)

    async def _answer(self, probe: Probe) -> QueryResult:
        head, query = probe.head, probe.query
        rows: list[Row] = []
        if probe.person_keys:
            rows = await self._session.rows(
                "read_hit_persons",
                person_keys=probe.person_keys,
                face_ids=probe.face_ids,
                distances=probe.distances,
                max_rows=query.max_rows,
                by_id=not query.scores,
            )
        ignored = 0 if query.with_suspended else head["suspended_faces"]
        found = SearchResult(
            space=head["space"],
            threshold=probe.threshold,
            probe_found=probe.found,
            mode=SearchMode.EXACT,
            faces=max(0, head["collection_faces"] - ignored) if probe.wire is not None else 0,
            candidates=candidates(rows),
            matched_persons=rows[0]["matched_persons"] if rows else 0,
            calibration_id=head["calibration_id"],
            collection_faces=head["collection_faces"] if head["calibration_id"] else 0,
        )
        return QueryResult("none" if probe.wire is None else "scan", True, found)
