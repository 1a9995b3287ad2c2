"""Exact scans: in one statement while nothing else is going on, in short steps beside other calls.

A scan keeps a core busy for a third of a second a million faces, and a core's scheduler lets it finish its
slice before it lets a call of a tenth of a millisecond in. In steps of about a millisecond, each waiting
for a lull, the call waits for a step at most. The steps see one snapshot.
"""

import uuid

import asyncpg

from matcher_service.domain.errors import CollectionNotFound
from matcher_service.identification.query import (
    COUNTED_PERSONS,
    Answer,
    Query,
    answer,
    candidates,
    vector_or_id,
)
from matcher_service.postgres.database import LULL_SECONDS, Connection, Database
from matcher_service.postgres.driver_errors import tried_anew
from matcher_service.postgres.statements import of_collection

STEP_BLOCKS = 250  # of 8 kB: about 3,300 faces, or a millisecond
QUIET_SECONDS = 1.0  # without a call of moments for so long, there is nobody to step aside for


class Scanner:
    """Runs exact scans in their own pool."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def check_room(self) -> None:
        """Raises Overloaded where a scan would be refused at once."""
        self._database.check_scan()

    @tried_anew
    async def scan(self, query: Query) -> Answer:
        """Compare every face. Raises as Store does, and Overloaded where too many are asked for."""
        async with self._database.scan_connection() as connection:
            if not self._database.traffic.seen_within(QUIET_SECONDS):
                return await ask(connection, query, exact_only=True, scan_up_to=None)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return await self._scan_in_steps(connection, query)

    async def _scan_in_steps(self, connection: Connection, query: Query) -> Answer:
        statements = of_collection(query.collection_id)
        vector, face_id = vector_or_id(query.face)
        head = await connection.fetchrow(
            statements["begin_scan"], query.collection_id, vector, face_id, query.max_distance, query.space
        )
        if head is None:
            raise CollectionNotFound
        if head["search"] == "none":
            return answer(head, 0, [], 0)
        faces, hits = 0, Hits()
        first = 0
        while first < head["blocks"]:
            traffic = self._database.traffic
            await traffic.lull(LULL_SECONDS)
            end = first + STEP_BLOCKS if traffic.seen_within(QUIET_SECONDS) else head["blocks"]
            step = await connection.fetchrow(
                statements["scan_step"],
                query.collection_id,
                vector,
                face_id,
                head["threshold"],
                COUNTED_PERSONS,
                (first, 0),
                (end, 0),
                not query.scores,
            )
            assert step is not None
            faces += step["faces"]
            hits.add(step)
            first = end
        rows = await connection.fetch(
            statements["name_hits"],
            query.collection_id,
            *hits.columns,
            query.max_candidates,
            not query.scores,
        )
        return answer(head, faces, candidates(rows), rows[0]["matched_persons"] if rows else 0)


class Hits:
    """Faces near enough, as columns: the person's key, the face's id, the distance."""

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._face_ids: list[uuid.UUID] = []
        self._distances: list[float] = []

    @property
    def columns(self) -> tuple[list[int], list[uuid.UUID], list[float]]:
        """The columns, as a statement takes them."""
        return self._keys, self._face_ids, self._distances

    def add(self, step: asyncpg.Record) -> None:
        """Take over what a step found."""
        self._keys += step["person_keys"]
        self._face_ids += step["face_ids"]
        self._distances += step["distances"]


async def ask(
    connection: Connection,
    query: Query,
    *,
    exact_only: bool,
    scan_up_to: int | None,
    effort: float = 1.0,
    trust: float = 1.0,
) -> Answer:
    """Run the statement that asks an index or scans. Raises CollectionNotFound.

    `effort` and `trust` are shares of the index's effort and of the collection's trust distance.
    """
    vector, face_id = vector_or_id(query.face)
    rows: list[asyncpg.Record] = await connection.fetch(
        of_collection(query.collection_id)["identify"],
        query.collection_id,
        vector,
        face_id,
        query.max_distance,
        query.max_candidates,
        query.space,
        exact_only,
        scan_up_to,
        effort,
        trust,
        not query.scores,
    )
    if not rows:
        raise CollectionNotFound
    head, found = rows[0], [row for row in rows if row["person_id"] is not None]
    return answer(
        head,
        head["faces"],
        candidates(found),
        head["matched_persons"],
        decided=head["decided"],
        cut=head["cut"],
    )
