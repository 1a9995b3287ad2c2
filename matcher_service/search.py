"""Searching a collection: by its index where its word stands, and by an exact scan where it does not."""

import dataclasses
import uuid
from typing import Any

from matcher_service.admission import Admission
from matcher_service.database import Database
from matcher_service.errors import CollectionNotFound
from matcher_service.faces import Candidate, Encoding, SearchMode
from matcher_service.queries import of_collection
from matcher_service.store import vector_or_id


@dataclasses.dataclass(frozen=True)
class Query:
    """A face to search for. `max_distance` None means the collection's identify threshold."""

    collection_id: str
    face: Encoding | uuid.UUID
    max_distance: float | None
    max_candidates: int
    exact_only: bool = False


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search found; `faces` is how many were compared."""

    space: str
    threshold: float
    probe_found: bool
    mode: SearchMode
    faces: int
    candidates: list[Candidate]


@dataclasses.dataclass(frozen=True)
class _Answer:
    """The rows of one statement; `search` is index, scan, later or none."""

    search: str
    decided: bool
    found: Found


class Search:
    """Finds the people near a face.

    The first statement asks the collection's index, or scans a collection of at most
    `scan_apart_above_faces` outright. The index's word stands for a nearest candidate within the
    collection's trust distance. For anything else an exact scan decides, in a pool of its own and behind
    an admission limit, since it takes a hundred times as long.
    """

    def __init__(
        self, database: Database, looks: Admission, scans: Admission, *, scan_apart_above_faces: int
    ) -> None:
        self._database = database
        self._looks = looks
        self._scans = scans
        self._scan_apart_above_faces = scan_apart_above_faces

    async def decide(self, query: Query) -> Found:
        """Find who is near, as Identify means it. Raises as Store does, and Overloaded for want of a turn."""
        first = await self._propose(query, exact_only=query.exact_only)
        if first.decided or first.search == "none":
            return first.found
        mode = SearchMode.INDEX_CONFIRMED if first.search == "index" else SearchMode.EXACT
        return dataclasses.replace(await self._scan(query), mode=mode)

    async def look(self, query: Query) -> Found:
        """Find who is near, taking the index's word where there is an index. Raises as `decide`."""
        first = await self._propose(query, exact_only=query.exact_only)
        return await self._scan(query) if first.search == "later" else first.found

    async def _propose(self, query: Query, *, exact_only: bool) -> _Answer:
        async with self._looks.turn(), self._database.connection() as connection:
            return await _ask(connection, query, exact_only, self._scan_apart_above_faces)

    async def _scan(self, query: Query) -> Found:
        async with self._scans.turn(), self._database.scan_connection() as connection:
            return (await _ask(connection, query, True, None)).found


async def _ask(connection: Any, query: Query, exact_only: bool, scan_up_to: int | None) -> _Answer:
    vector, face_id = vector_or_id(query.face)
    space = query.face.space if isinstance(query.face, Encoding) else None
    rows = await connection.fetch(
        of_collection(query.collection_id)["identify"],
        query.collection_id,
        vector,
        face_id,
        query.max_distance,
        query.max_candidates,
        space,
        exact_only,
        scan_up_to,
    )
    if not rows:
        raise CollectionNotFound
    first = rows[0]
    found = Found(
        space=first["space"],
        threshold=first["threshold"],
        probe_found=first["probe_found"],
        mode=SearchMode.INDEX if first["search"] == "index" else SearchMode.EXACT,
        faces=first["faces"],
        candidates=[
            Candidate(row["person_id"], row["display_name"], row["distance"], row["face_id"])
            for row in rows
            if row["person_id"] is not None
        ],
    )
    return _Answer(first["search"], first["decided"], found)
