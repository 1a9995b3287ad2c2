"""One method per statement of sql/queries.sql: arguments in, rows out as dataclasses.

Every method raises CollectionNotFound where there is no such collection, StoreUnavailable and Overloaded.
"""

import contextlib
import dataclasses
import datetime
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from matcher_service.database import Connection, Database, vector_wire
from matcher_service.errors import CollectionNotFound
from matcher_service.faces import Candidate, Encoding, Erasure, Face, Person


@dataclasses.dataclass(frozen=True)
class Nearest:
    """What the verify statement found; `face_id` and `distance` are None without a face or a probe."""

    space: str
    threshold: float
    person_found: bool
    probe_found: bool
    faces: int
    face_id: uuid.UUID | None
    distance: float | None


@dataclasses.dataclass(frozen=True)
class Search:
    """What the identify statement found."""

    space: str
    threshold: float
    probe_found: bool
    faces: int
    candidates: list[Candidate]


@dataclasses.dataclass(frozen=True)
class Measure:
    """What the compare statement found."""

    space: str
    threshold: float
    a_found: bool
    b_found: bool
    distance: float | None


@dataclasses.dataclass(frozen=True)
class Collection:
    """A collection's space and the distances that decide in it."""

    space: str
    verify_threshold: float
    identify_threshold: float


class Store:
    """The statements that read, and those that change one row set at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def verify(self, collection_id: str, person_id: str, face: Encoding | uuid.UUID) -> Nearest:
        """Measure a face against every face of a person."""
        row = await self._row("verify", collection_id, person_id, *_vector_or_id(face))
        return Nearest(
            space=row["space"],
            threshold=row["verify_threshold"],
            person_found=row["person_found"],
            probe_found=row["probe_found"],
            faces=row["faces"],
            face_id=row["face_id"],
            distance=row["distance"],
        )

    async def identify(
        self, collection_id: str, face: Encoding | uuid.UUID, max_distance: float | None, max_candidates: int
    ) -> Search:
        """Measure a face against every face of the collection."""
        vector, face_id = _vector_or_id(face)
        space = face.space if isinstance(face, Encoding) else None
        rows = await self._rows(
            "identify", collection_id, vector, face_id, max_distance, max_candidates, space
        )
        return Search(
            space=rows[0]["space"],
            threshold=rows[0]["threshold"],
            probe_found=rows[0]["probe_found"],
            faces=rows[0]["faces"],
            candidates=[
                Candidate(row["person_id"], row["display_name"], row["distance"], row["face_id"])
                for row in rows
                if row["person_id"] is not None
            ],
        )

    async def compare(self, collection_id: str, a: Encoding | uuid.UUID, b: Encoding | uuid.UUID) -> Measure:
        """Measure two faces against each other."""
        row = await self._row("compare", collection_id, *_vector_or_id(a), *_vector_or_id(b))
        return Measure(row["space"], row["verify_threshold"], row["a_found"], row["b_found"], row["distance"])

    async def get_collection(self, collection_id: str) -> Collection:
        """Read a collection's space and thresholds."""
        return Collection(*await self._row("get_collection", collection_id))

    async def get_person(self, collection_id: str, person_id: str) -> Person | None:
        """Read one person."""
        return _person(await self._row("get_person", collection_id, person_id))

    async def list_persons(self, collection_id: str, after: str, limit: int) -> list[Person]:
        """Read people in the order of their ids, from after `after`."""
        rows = await self._rows("list_persons", collection_id, after, limit)
        return [person for row in rows if (person := _person(row))]

    async def update_person(self, collection_id: str, person_id: str, display_name: str) -> Person | None:
        """Replace a person's display name."""
        return _person(await self._row("update_person", collection_id, person_id, display_name))

    async def list_faces(
        self,
        collection_id: str,
        person_id: str,
        after: tuple[datetime.datetime, uuid.UUID] | None,
        limit: int,
    ) -> list[Face] | None:
        """Read a person's faces, oldest first, from after a time and id; None without such a person."""
        rows = await self._rows("list_faces", collection_id, person_id, *(after or (None, None)), limit)
        if not rows[0]["person_found"]:
            return None
        return [
            Face(
                face_id=row["face_id"],
                person_id=person_id,
                external_ref=row["external_ref"],
                space=row["space"],
                fingerprint=row["fingerprint"],
                create_time=row["create_time"],
            )
            for row in rows
            if row["face_id"] is not None
        ]

    async def delete_person(self, collection_id: str, person_id: str) -> Erasure:
        """Erase a person and their faces. The lock comes first, so that no face is added meanwhile."""
        async with self.transaction() as (connection, queries):
            held = await connection.fetchrow(queries["lock_person"], collection_id, person_id)
            key = _found(held)["person_key"]
            row = _found(await connection.fetchrow(queries["delete_person"], collection_id, key))
        return Erasure(row["persons"], row["faces"], row["delete_time"])

    async def delete_face(self, collection_id: str, face_id: uuid.UUID) -> Erasure:
        """Erase one face, its person locked as for every change of their faces."""
        async with self.transaction() as (connection, queries):
            held = await connection.fetchrow(queries["lock_person_of_face"], collection_id, face_id)
            key = _found(held)["person_key"]
            row = _found(await connection.fetchrow(queries["delete_face"], collection_id, face_id, key))
        return Erasure(0, row["faces"], row["delete_time"])

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[tuple[Connection, dict[str, str]]]:
        """A transaction whose every statement sees what was committed before it began."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="read_committed"),
        ):
            yield connection, self._database.queries

    async def row(self, name: str, *arguments: Any) -> asyncpg.Record | None:
        """Run a statement on its own and return its row, if it has one."""
        async with self._database.connection() as connection:
            return await connection.fetchrow(self._database.queries[name], *arguments)

    async def _row(self, name: str, *arguments: Any) -> asyncpg.Record:
        return _found(await self.row(name, *arguments))

    async def _rows(self, name: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self._database.connection() as connection:
            rows = await connection.fetch(self._database.queries[name], *arguments)
        _found(rows[0] if rows else None)
        return list(rows)


def _found(row: asyncpg.Record | None) -> asyncpg.Record:
    """Every statement begins at the collection: no row means that there is none."""
    if row is None:
        raise CollectionNotFound
    return row


def _vector_or_id(face: Encoding | uuid.UUID) -> tuple[bytes | None, uuid.UUID | None]:
    return (None, face) if isinstance(face, uuid.UUID) else (vector_wire(face.values), None)


def _person(row: asyncpg.Record) -> Person | None:
    if row["person_id"] is None:
        return None
    return Person(row["person_id"], row["display_name"], row["faces"], row["create_time"], row["update_time"])
