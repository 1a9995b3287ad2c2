"""All that is kept of one person, read part by part for whoever asks for their own data."""

import dataclasses
import datetime
import uuid
from collections.abc import AsyncIterator, Callable

import asyncpg
import numpy as np

from matcher_service.audit.changes import Action, Change, note
from matcher_service.audit.reading import Event, event_of
from matcher_service.domain.errors import CollectionNotFound, PersonNotFound
from matcher_service.domain.faces import Encoding, Face, Person
from matcher_service.postgres.database import Database
from matcher_service.postgres.driver_errors import tried_anew
from matcher_service.postgres.statements import of_collection
from matcher_service.postgres.store import face_of

PART_ROWS = 500  # faces or events of a part, which stays below 2 MB with texts as long as they may be


@dataclasses.dataclass(frozen=True, eq=False)
class ExportedFace:
    """A stored face, and its vector where that may be told."""

    face: Face
    encoding: Encoding | None


@dataclasses.dataclass(frozen=True, eq=False)
class PersonPart:
    """A part of an export: the person at first, then faces, oldest first, then events, newest first."""

    person: Person | None = None
    faces: tuple[ExportedFace, ...] = ()
    events: tuple[Event, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Begun:
    person: Person
    person_key: int
    person_tag: bytes


class PersonExporter:
    """Reads one person a page at a time; between two parts nothing of the database is held."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def parts(
        self, collection_id: str, person_id: str, *, with_vectors: Callable[[], bool]
    ) -> AsyncIterator[PersonPart]:
        """The parts of a person's data; `with_vectors` is asked for each page of faces.

        Raises PersonNotFound, CollectionNotFound, StoreUnavailable, Overloaded.
        """
        begun = await self._begin(collection_id, person_id)
        yield PersonPart(begun.person)
        after: tuple[datetime.datetime | None, uuid.UUID | None] = (None, None)
        while faces := await self._faces(collection_id, begun, after, vectors=with_vectors()):
            yield PersonPart(faces=faces)
            after = (faces[-1].face.create_time, faces[-1].face.face_id)
        before: int | None = None
        while events := await self._events(collection_id, begun, before):
            yield PersonPart(events=events)
            before = events[-1].event_id

    @tried_anew
    async def _begin(self, collection_id: str, person_id: str) -> _Begun:
        """Put on record that the person's data are read, before any is."""
        queries = of_collection(collection_id)
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(queries["begin_person_export"], collection_id, person_id)
            if row is None:
                raise CollectionNotFound
            if row["person_key"] is None:
                raise PersonNotFound("the collection has nobody of this id", field="person_id")
            change = Change(Action.EXPORT_PERSON, row["person_tag"], persons=1, faces=row["faces"])
            await note(connection, queries, collection_id, change)
        person = Person(
            row["person_id"], row["display_name"], row["faces"], row["create_time"], row["update_time"]
        )
        return _Begun(person, row["person_key"], row["person_tag"])

    @tried_anew
    async def _faces(
        self,
        collection_id: str,
        begun: _Begun,
        after: tuple[datetime.datetime | None, uuid.UUID | None],
        *,
        vectors: bool,
    ) -> tuple[ExportedFace, ...]:
        text = of_collection(collection_id)["export_person_faces"]
        async with self._database.search_connection() as connection:
            rows = await connection.fetch(text, collection_id, begun.person_key, *after, PART_ROWS, vectors)
        return tuple(
            ExportedFace(face_of(row, begun.person.person_id), _encoding(row) if vectors else None)
            for row in rows
        )

    @tried_anew
    async def _events(self, collection_id: str, begun: _Begun, before: int | None) -> tuple[Event, ...]:
        text = of_collection(collection_id)["list_audit_events"]
        async with self._database.search_connection() as connection:
            rows = await connection.fetch(
                text, collection_id, before, begun.person_tag, False, None, None, PART_ROWS
            )
        return tuple(map(event_of, rows))


def _encoding(row: asyncpg.Record) -> Encoding:
    values = np.frombuffer(row["encoding"], ">f4", offset=4).astype(np.float32)
    return Encoding(values, row["space"], row["fingerprint"])
