"""Exact scans, each shared by the searches that wait: one statement if there was no short request for a
second, else short steps.

A scan uses a core for a quarter of a second per million faces, and the scheduler delays short requests of a
tenth of a millisecond until the scan's time slice ends. In steps of about a millisecond, each of which waits
until no short request is in flight, a short request waits for one step at most. All steps read one snapshot.

Reading a face costs more than comparing it, so the searches of a collection that wait go into the next scan
together.
"""

import dataclasses
import uuid
from collections.abc import Sequence
from typing import Any

from matcher_service.domain.faces import Encoding, SearchMode
from matcher_service.identification.query import (
    COUNTED_PERSONS,
    Query,
    QueryResult,
    SearchResult,
    candidates,
)
from matcher_service.postgres.batching import Batcher
from matcher_service.postgres.database import YIELD_SECONDS, Database, Row, Session
from matcher_service.postgres.driver_errors import retried_on_schema_change
from matcher_service.postgres.short_requests import ShortRequests
from matcher_service.postgres.vectors import vector_wire

MAX_PROBES = 16  # of one scan: then another probe costs as much as a scan of its own for every sixteenth
STEP_BLOCKS = 250  # of 8 kB, for one probe: about 3,300 faces, or a millisecond
PROBE_COST = 0.1  # of each further probe, in those of a scan for one
QUIET_SECONDS = 1.0  # without a short request for so long, there is none to yield to
WHOLE = frozenset({"first_row", "end_row"})  # parameters of a step, which a scan in one statement has not


class ExactScanner:
    """Runs exact scans in their own pool, up to MAX_PROBES of a collection together."""

    def __init__(self, database: Database, *, wait_seconds: float, scans: int) -> None:
        """`wait_seconds` is how long a scan waits to begin, `scans` how many run at once."""
        self._database = database
        self._batcher = Batcher(
            self._scan, max_batch=MAX_PROBES, max_running=scans, wait_seconds=wait_seconds, kind="scan"
        )

    def check_capacity(self, collection_id: str) -> None:
        """Raises Overloaded where a scan would be refused at once."""
        self._batcher.check_capacity(collection_id)

    async def scan(self, query: Query) -> QueryResult:
        """Compare every face.

        Raises CollectionNotFound, StoreUnavailable, and Overloaded where too many are asked for.
        """
        return await self._batcher.submit(query.collection_id, query)

    @retried_on_schema_change
    async def _scan(
        self, collection_id: str, queries: Sequence[Query], callers: frozenset[str]
    ) -> list[QueryResult]:
        async with self._database.scan_session(collection_id, callers=callers) as session:
            short_requests = self._database.short_requests
            # One snapshot for all statements: a person who is merged meanwhile is found all the same.
            async with session.transaction("repeatable_read", readonly=True):
                scan = Scan(session, queries)
                if short_requests.seen_within(QUIET_SECONDS):
                    return await scan.run_in_steps(short_requests)
                return await scan.run_whole()


@dataclasses.dataclass
class Probe:
    """What is searched for, and what was found: persons' keys, faces' ids and distances.

    `wire` is None for what is not there, or is no vector of the collection's space.
    """

    query: Query
    head: Row
    threshold: float
    wire: bytes | None
    found: bool
    person_keys: list[int] = dataclasses.field(default_factory=list)
    face_ids: list[uuid.UUID] = dataclasses.field(default_factory=list)
    distances: list[float] = dataclasses.field(default_factory=list)

    @classmethod
    def of(cls, query: Query, head: Row) -> "Probe":
        """Read a row of `begin_scan`."""
        threshold = head["identify_threshold"] if query.max_distance is None else query.max_distance
        if isinstance(query.face, Encoding):
            wire = vector_wire(query.face.values) if query.space == head["space"] else None
            return cls(query, head, threshold, wire, found=True)
        return cls(query, head, threshold, head["encoding"], found=head["encoding"] is not None)

    def add(self, row: Row) -> None:
        """Take over a row of `scan_faces`."""
        self.person_keys.append(row["person_key"])
        self.face_ids.append(row["face_id"])
        self.distances.append(row["distance"])


class Scan:
    """One scan of a collection for several probes, over one session whose transaction reads one snapshot."""

    def __init__(self, session: Session, queries: Sequence[Query]) -> None:
        self._session = session
        self._queries = queries

    async def run_whole(self) -> list[QueryResult]:
        """Compare all faces in one statement. Raises CollectionNotFound."""
        probes = await self._begin()
        await self._compare(probes, without=WHOLE)
        return [await self._answer(probe) for probe in probes]

    async def run_in_steps(self, short_requests: ShortRequests) -> list[QueryResult]:
        """Compare all faces in steps between short requests.

        Raises CollectionNotFound.
        """
        probes = await self._begin()
        blocks = probes[0].head["blocks"]
        step_blocks = round(STEP_BLOCKS / (1 + PROBE_COST * (len(probes) - 1)))
        first = 0
        while first < blocks:
            await short_requests.wait_until_idle(YIELD_SECONDS)
            end = first + step_blocks if short_requests.seen_within(QUIET_SECONDS) else blocks
            await self._compare(probes, first_row=(first, 0), end_row=(end, 0))
            first = end
        return [await self._answer(probe) for probe in probes]

    async def _begin(self) -> list[Probe]:
        face_ids = [query.face if isinstance(query.face, uuid.UUID) else None for query in self._queries]
        rows = await self._session.required_rows("begin_scan", face_ids=face_ids)
        return [Probe.of(query, row) for query, row in zip(self._queries, rows, strict=True)]

    async def _compare(
        self, probes: Sequence[Probe], *, without: frozenset[str] = frozenset(), **rows: Any
    ) -> None:
        """Run a step. Its statement is for 1, 2, 4, 8 or 16 probes, of which the last may be none: so few are
        prepared.
        """
        if all(probe.wire is None for probe in probes):
            return
        count = 1 << (len(probes) - 1).bit_length()
        padded = [*probes, *[None] * (count - len(probes))]
        values: dict[str, Any] = {}
        for number, probe in enumerate(padded, 1):
            values[f"encoding_{number}"] = probe and probe.wire
            values[f"max_distance_{number}"] = probe and probe.threshold
        hits = await self._session.rows(
            "scan_faces",
            probes=count,
            without=without,
            by_ids=[probe is not None and not probe.query.scores for probe in padded],
            max_persons=COUNTED_PERSONS,
            **values,
            **rows,
        )
        for row in hits:
            probes[row["number"] - 1].add(row)

    async def _answer(self, probe: Probe) -> QueryResult:
        head, query = probe.head, probe.query
        rows: list[Row] = []
        if probe.person_keys:
            rows = await self._session.rows(
                "read_hit_persons",
                person_keys=probe.person_keys,
                face_ids=probe.face_ids,
                distances=probe.distances,
                max_candidates=query.max_candidates,
                by_id=not query.scores,
            )
        found = SearchResult(
            space=head["space"],
            threshold=probe.threshold,
            probe_found=probe.found,
            mode=SearchMode.EXACT,
            faces=head["collection_faces"] if probe.wire is not None else 0,
            candidates=candidates(rows),
            matched_persons=rows[0]["matched_persons"] if rows else 0,
            calibration_id=head["calibration_id"],
            collection_faces=head["collection_faces"] if head["calibration_id"] else 0,
        )
        return QueryResult("none" if probe.wire is None else "scan", True, found)
