"""Exact scans: one statement while there are no other calls, short steps while there are.

A scan uses a core for a third of a second per million faces, and the scheduler delays short requests of a
tenth of a millisecond until the scan's time slice ends. In steps of about a millisecond, each of which waits
until no short request is in flight, a short request waits for one step at most. All steps read one snapshot.
"""

import uuid

from matcher_service.identification.query import (
    COUNTED_PERSONS,
    Query,
    QueryResult,
    candidates,
    face_values,
    query_result,
)
from matcher_service.postgres.database import YIELD_SECONDS, Database, Row, Session
from matcher_service.postgres.driver_errors import retried_on_schema_change

STEP_BLOCKS = 250  # of 8 kB: about 3,300 faces, or a millisecond
QUIET_SECONDS = 1.0  # after that long without a short request, the scan need not yield


class ExactScanner:
    """Runs exact scans in their own pool."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check_capacity(self) -> None:
        """Raises Overloaded if a scan would be refused immediately."""
        self._database.check_scan_capacity()

    @retried_on_schema_change
    async def scan(self, query: Query) -> QueryResult:
        """Compare every face.

        Raises CollectionNotFound, StoreUnavailable, and Overloaded if there are too many concurrent scans.
        """
        async with self._database.scan_session(query.collection_id) as session:
            if not self._database.short_requests.seen_within(QUIET_SECONDS):
                return await run_query(session, query, exact_only=True, scan_up_to=None)
            async with session.transaction("repeatable_read", readonly=True):
                return await self._scan_in_steps(session, query)

    async def _scan_in_steps(self, session: Session, query: Query) -> QueryResult:
        face = face_values(query.face)
        head = await session.required_row(
            "begin_scan", **face, max_distance=query.max_distance, space=query.space
        )
        if head["search"] == "none":
            return query_result(head, 0, [], 0)
        faces, hits = 0, Hits()
        first = 0
        while first < head["blocks"]:
            short_requests = self._database.short_requests
            await short_requests.wait_until_idle(YIELD_SECONDS)
            end = first + STEP_BLOCKS if short_requests.seen_within(QUIET_SECONDS) else head["blocks"]
            step = await session.required_row(
                "scan_step",
                **face,
                max_distance=head["threshold"],
                max_persons=COUNTED_PERSONS,
                first_row=(first, 0),
                end_row=(end, 0),
                by_id=not query.scores,
            )
            faces += step["faces"]
            hits.add(step)
            first = end
        rows = await session.rows(
            "read_hit_persons", **hits.columns, max_candidates=query.max_candidates, by_id=not query.scores
        )
        return query_result(head, faces, candidates(rows), rows[0]["matched_persons"] if rows else 0)


class Hits:
    """Faces within the threshold, as columns: the person's key, the face's id, the distance."""

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._face_ids: list[uuid.UUID] = []
        self._distances: list[float] = []

    @property
    def columns(self) -> dict[str, list[int] | list[uuid.UUID] | list[float]]:
        """The columns as parameters of a statement."""
        return {"person_keys": self._keys, "face_ids": self._face_ids, "distances": self._distances}

    def add(self, step: Row) -> None:
        """Add the faces that a step found."""
        self._keys += step["person_keys"]
        self._face_ids += step["face_ids"]
        self._distances += step["distances"]


async def run_query(
    session: Session,
    query: Query,
    *,
    exact_only: bool,
    scan_up_to: int | None,
    probes_share: float = 1.0,
    acceptance_share: float = 1.0,
) -> QueryResult:
    """Run the statement that queries the index or scans. Raises CollectionNotFound.

    Collections of more than `scan_up_to` faces are not scanned, None for no limit. `probes_share` is the
    share of the index's probes to use, `acceptance_share` of the collection's index acceptance threshold.
    """
    rows = await session.required_rows(
        "identify",
        **face_values(query.face),
        max_distance=query.max_distance,
        max_candidates=query.max_candidates,
        space=query.space,
        exact_only=exact_only,
        max_scanned_faces=scan_up_to,
        probes_share=probes_share,
        acceptance_share=acceptance_share,
        by_id=not query.scores,
    )
    head, found = rows[0], [row for row in rows if row["person_id"] is not None]
    return query_result(
        head,
        head["faces"],
        candidates(found),
        head["matched_persons"],
        decided=head["decided"],
        truncated=head["cut"],
    )
