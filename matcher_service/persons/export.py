"""Exports all data of one person in parts, to answer a data subject's request."""

import dataclasses
import datetime
import uuid
from collections.abc import AsyncIterator, Callable

from matcher_service.audit.changes import Action, Change, append_event
from matcher_service.audit.reading import Event, event_of
from matcher_service.domain.errors import PersonNotFound
from matcher_service.domain.faces import Encoding, Face, Person
from matcher_service.persons.rows import face_of, person_of
from matcher_service.postgres.database import Database, Row
from matcher_service.postgres.driver_errors import retried_on_schema_change
from matcher_service.postgres.vectors import read_vectors

PART_ROWS = 500  # faces or events of a part, which is below 2 MB even with the longest texts


@dataclasses.dataclass(frozen=True, eq=False)
class ExportedFace:
    """A stored face, and its encoding if the caller may have it."""

    face: Face
    encoding: Encoding | None


@dataclasses.dataclass(frozen=True, eq=False)
class PersonPart:
    """A part of an export: first the person, then faces, oldest first, then events, newest first."""

    person: Person | None = None
    faces: tuple[ExportedFace, ...] = ()
    events: tuple[Event, ...] = ()


@dataclasses.dataclass(frozen=True)
class _ExportedPerson:
    person: Person
    person_key: int
    person_tag: bytes


class PersonExporter:
    """Reads a person's data page by page; between two parts it holds no connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def parts(
        self, collection_id: str, person_id: str, *, may_have_vectors: Callable[[], bool]
    ) -> AsyncIterator[PersonPart]:
        """Yield the parts of a person's data; `may_have_vectors` is called for each page of faces.

        Raises PersonNotFound, CollectionNotFound, StoreUnavailable, Overloaded.
        """
        exported = await self._begin(collection_id, person_id)
        yield PersonPart(exported.person)
        after: tuple[datetime.datetime | None, uuid.UUID | None] = (None, None)
        while faces := await self._faces(collection_id, exported, after, vectors=may_have_vectors()):
            yield PersonPart(faces=faces)
            after = (faces[-1].face.create_time, faces[-1].face.face_id)
        before: int | None = None
        while events := await self._events(collection_id, exported, before):
            yield PersonPart(events=events)
            before = events[-1].event_id

    @retried_on_schema_change
    async def _begin(self, collection_id: str, person_id: str) -> _ExportedPerson:
        """Append the audit event of the export before anything is read."""
        async with self._database.transaction(collection_id) as session:
            row = await session.required_row("begin_person_export", person_id=person_id)
            person = person_of(row)
            if person is None:
                raise PersonNotFound("the collection has no person with this id", field="person_id")
            change = Change(Action.EXPORT_PERSON, row["person_tag"], persons=1, faces=row["faces"])
            await append_event(session, change)
        return _ExportedPerson(person, row["person_key"], row["person_tag"])

    @retried_on_schema_change
    async def _faces(
        self,
        collection_id: str,
        exported: _ExportedPerson,
        after: tuple[datetime.datetime | None, uuid.UUID | None],
        *,
        vectors: bool,
    ) -> tuple[ExportedFace, ...]:
        after_time, after_face_id = after
        async with self._database.search_session(collection_id) as session:
            rows = await session.rows(
                "export_person_faces",
                person_key=exported.person_key,
                after_time=after_time,
                after_face_id=after_face_id,
                max_rows=PART_ROWS,
                with_encodings=vectors,
            )
        return tuple(
            ExportedFace(face_of(row, exported.person.person_id), _encoding(row) if vectors else None)
            for row in rows
        )

    @retried_on_schema_change
    async def _events(
        self, collection_id: str, exported: _ExportedPerson, before: int | None
    ) -> tuple[Event, ...]:
        async with self._database.search_session(collection_id) as session:
            rows = await session.rows(
                "list_audit_events",
                before_event_id=before,
                person_tag=exported.person_tag,
                decisions=False,
                start_time=None,
                end_time=None,
                max_rows=PART_ROWS,
            )
        return tuple(map(event_of, rows))


def _encoding(row: Row) -> Encoding:
    (values,) = read_vectors([row["encoding"]])
    return Encoding(values, row["space"], row["fingerprint"])
