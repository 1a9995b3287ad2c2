"""A method for each statement of people, faces and decisions: arguments in, rows out as dataclasses.

Every method raises CollectionNotFound where there is no such collection, StoreUnavailable and Overloaded.
"""

import contextlib
import datetime
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg

from matcher_service.audit.changes import Action, Change, note
from matcher_service.domain.errors import CollectionNotFound, Overloaded, PersonFull
from matcher_service.domain.faces import Encoding, Erasure, Face, FaceChange, Merge, Person
from matcher_service.identification.query import Count, Measure, Nearest, vector_or_id
from matcher_service.postgres.database import Connection, Database
from matcher_service.postgres.driver_errors import RETRY_OVERLOADED_SECONDS, tried_anew
from matcher_service.postgres.statements import load, of_collection

LOCK_ATTEMPTS = 5
NOT_COUNTED = (None,) * 6
NEVER = datetime.datetime.max.replace(tzinfo=datetime.UTC)  # the driver's form of infinity


class Store:
    """The statements that read, and those that change one row set at once.

    `max_faces_per_person` is how many faces nobody may come to exceed.
    """

    def __init__(self, database: Database, *, max_faces_per_person: int) -> None:
        self._database = database
        self.max_faces_per_person = max_faces_per_person

    async def verify(
        self, collection_id: str, person_id: str, face: Encoding | uuid.UUID, count: Count | None = None
    ) -> Nearest:
        """Measure a face against every face of a person, and count it as a failed try where it is one."""
        space = face.space if isinstance(face, Encoding) else None
        counted = (
            (
                count.caller,
                count.max_distance,
                space,
                count.try_seconds,
                count.most_missing_seconds,
                count.match_tries,
            )
            if count
            else NOT_COUNTED
        )
        row = await self._row("verify", collection_id, person_id, *vector_or_id(face), *counted)
        return Nearest(
            space=row["space"],
            threshold=row["verify_threshold"],
            person_found=row["person_found"],
            probe_found=row["probe_found"],
            faces=row["faces"],
            face_id=row["face_id"],
            distance=row["distance"],
            wait_seconds=row["wait_seconds"] or 0.0,
        )

    async def compare(self, collection_id: str, a: Encoding | uuid.UUID, b: Encoding | uuid.UUID) -> Measure:
        """Measure two faces against each other."""
        row = await self._row("compare", collection_id, *vector_or_id(a), *vector_or_id(b))
        return Measure(row["space"], row["verify_threshold"], row["a_found"], row["b_found"], row["distance"])

    @tried_anew
    async def list_collections(self, after: str, limit: int) -> list[asyncpg.Record]:
        """Read collections in the order of their ids, from after `after`."""
        async with self._database.search_connection() as connection:
            return list(await connection.fetch(load()["list_collections"], after, limit))

    async def search_defaults(self, collection_id: str) -> tuple[float, str]:
        """Read a collection's identify threshold and space."""
        row = await self._row("search_defaults", collection_id)
        return row["identify_threshold"], row["space"]

    async def get_person(self, collection_id: str, person_id: str) -> Person | None:
        """Read one person."""
        return _person(await self._row("get_person", collection_id, person_id))

    async def list_persons(self, collection_id: str, prefix: str, after: str, limit: int) -> list[Person]:
        """Read people whose ids begin with `prefix`, in the order of their ids, from after `after`."""
        rows = await self._rows("list_persons", collection_id, after, limit, prefix)
        return [person for row in rows if (person := _person(row))]

    @tried_anew
    async def update_person(self, collection_id: str, person_id: str, display_name: str) -> Person | None:
        """Replace a person's display name."""
        async with self.transaction(collection_id) as (connection, queries):
            row = _found(
                await connection.fetchrow(queries["update_person"], collection_id, person_id, display_name)
            )
            if row["person_id"] is not None:
                await note(
                    connection, queries, collection_id, Change(Action.UPDATE_PERSON, row["person_tag"], 1)
                )
        return _person(row)

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
        return [face_of(row, person_id) for row in rows if row["face_id"] is not None]

    @tried_anew
    async def delete_person(self, collection_id: str, person_id: str) -> Erasure:
        """Erase a person and their faces. The lock comes first, so that no face is added meanwhile."""
        async with self.transaction(collection_id) as (connection, queries):
            held = await connection.fetchrow(queries["lock_person"], collection_id, person_id)
            held = _found(held)
            row = _found(
                await connection.fetchrow(queries["delete_person"], collection_id, held["person_key"])
            )
            if row["persons"]:
                change = Change(Action.DELETE_PERSON, held["person_tag"], persons=1, faces=row["faces"])
                await note(connection, queries, collection_id, change)
        return Erasure(row["persons"], row["faces"], row["delete_time"], row["erasure_id"])

    async def get_face(self, collection_id: str, face_id: uuid.UUID) -> Face | None:
        """Read one face."""
        row = await self._row("get_face", collection_id, face_id)
        return None if row["person_id"] is None else face_of(row, row["person_id"])

    @tried_anew
    async def update_face(self, collection_id: str, face_id: uuid.UUID, change: FaceChange) -> bool:
        """Change one face, its person locked; False without such a face."""
        async with self.transaction(collection_id) as (connection, queries):
            held = await _lock_person_of(connection, queries, collection_id, face_id)
            found = await connection.fetchrow(
                queries["update_face"],
                collection_id,
                face_id,
                held["person_key"],
                change.external_ref,
                change.ends,
                change.expire_time or NEVER,
            )
            if found is None:
                return False
            details = {"changed": ", ".join(change.names)}
            noted = Change(Action.UPDATE_FACE, held["person_tag"], persons=1, faces=1, details=details)
            await note(connection, queries, collection_id, noted)
        return True

    @tried_anew
    async def delete_face(self, collection_id: str, face_id: uuid.UUID) -> Erasure:
        """Erase one face, its person locked as for every change of their faces."""
        async with self.transaction(collection_id) as (connection, queries):
            held = await _lock_person_of(connection, queries, collection_id, face_id)
            key = held["person_key"]
            row = _found(await connection.fetchrow(queries["delete_face"], collection_id, face_id, key))
            if row["faces"]:
                change = Change(Action.DELETE_FACE, held["person_tag"], persons=1, faces=row["faces"])
                await note(connection, queries, collection_id, change)
        return Erasure(0, row["faces"], row["delete_time"], row["erasure_id"])

    async def get_erasure(self, collection_id: str, erasure_id: uuid.UUID) -> Erasure | None:
        """Read a receipt, with what has become of it since."""
        row = await self._row("get_erasure", collection_id, erasure_id)
        if row["delete_time"] is None:
            return None
        times = row["delete_time"], erasure_id, row["vacuum_time"], row["scrub_time"]
        return Erasure(row["persons"], row["faces"], *times)

    @tried_anew
    async def merge_persons(self, collection_id: str, source_id: str, target_id: str) -> Merge | str:
        """Give the source's faces to the target; returns the id of the one who is not there instead.

        Raises PersonFull.
        """
        async with self.transaction(collection_id) as (connection, queries):
            held = _found(
                await connection.fetchrow(queries["lock_merged_persons"], collection_id, source_id, target_id)
            )
            for key, person_id in (("source_key", source_id), ("target_key", target_id)):
                if held[key] is None:
                    return person_id
            keys = held["source_key"], held["target_key"]
            # Where neither has a lasting face, the target's stay: by them `maintain` finds whom to erase.
            lasts = await connection.fetchval(queries["any_lasts"], collection_id, keys)
            dropped = [source_id, target_id] if lasts else [source_id]
            await drop_expired(connection, queries, collection_id, dropped)
            if (
                await connection.fetchval(queries["count_merged"], collection_id, keys)
                > self.max_faces_per_person
            ):
                raise PersonFull(self.max_faces_per_person, field="target_person_id")
            row = _found(await connection.fetchrow(queries["merge_persons"], collection_id, *keys))
            # An enrolment for the source would begin them anew, and took the target's faces for their own.
            await connection.execute(queries["outdate_searches"], collection_id)
            details = {"source_person_tag": held["source_tag"].hex()}
            change = Change(Action.MERGE_PERSONS, held["target_tag"], 2, row["moved"], details)
            await note(connection, queries, collection_id, change)
        person = _person(row)
        assert person is not None
        return Merge(person, row["moved"])

    @contextlib.asynccontextmanager
    async def transaction(self, collection_id: str) -> AsyncIterator[tuple[Connection, Mapping[str, str]]]:
        """A transaction whose every statement sees what was committed before it began."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="read_committed"),
        ):
            yield connection, of_collection(collection_id)

    @tried_anew
    async def row(self, name: str, collection_id: str, *arguments: Any) -> asyncpg.Record | None:
        """Run a statement on its own and return its row, if it has one."""
        async with self._database.connection() as connection:
            return await connection.fetchrow(of_collection(collection_id)[name], collection_id, *arguments)

    async def _row(self, name: str, collection_id: str, *arguments: Any) -> asyncpg.Record:
        return _found(await self.row(name, collection_id, *arguments))

    @tried_anew
    async def _rows(self, name: str, collection_id: str, *arguments: Any) -> list[asyncpg.Record]:
        """A page of a list: it may take tens of milliseconds."""
        async with self._database.search_connection() as connection:
            rows = await connection.fetch(of_collection(collection_id)[name], collection_id, *arguments)
        _found(rows[0] if rows else None)
        return list(rows)


def _found(row: asyncpg.Record | None) -> asyncpg.Record:
    """Every statement begins at the collection: no row means that there is none."""
    if row is None:
        raise CollectionNotFound
    return row


async def _lock_person_of(
    connection: Connection, queries: Mapping[str, str], collection_id: str, face_id: uuid.UUID
) -> asyncpg.Record:
    """Lock whose a face is; without such a face their key is None. Raises Overloaded."""
    for _ in range(LOCK_ATTEMPTS):
        held = _found(await connection.fetchrow(queries["lock_person_of_face"], collection_id, face_id))
        if held["person_key"] is not None or not held["face_found"]:
            return held
    raise Overloaded(
        "the face kept moving; try again in a moment", retry_after_seconds=RETRY_OVERLOADED_SECONDS
    )


async def drop_expired(
    connection: Connection, queries: Mapping[str, str], collection_id: str, person_ids: list[str]
) -> None:
    """Erase what locked persons have past its time or the retention, with a receipt and an event for each."""
    for row in await connection.fetch(queries["drop_expired"], collection_id, person_ids):
        change = Change(Action.EXPIRE, row["person_tag"], faces=row["faces"])
        await note(connection, queries, collection_id, change)


def moment(expire_time: datetime.datetime | None) -> datetime.datetime | None:
    """An expire time as the domain has it: the driver reads infinity as the last moment there is."""
    if expire_time is None or expire_time.year == datetime.MAXYEAR:
        return None
    return expire_time


def face_of(row: asyncpg.Record, person_id: str) -> Face:
    """A person's face as it is stored."""
    return Face(
        face_id=row["face_id"],
        person_id=person_id,
        external_ref=row["external_ref"],
        space=row["space"],
        fingerprint=row["fingerprint"],
        create_time=row["create_time"],
        expire_time=moment(row["expire_time"]),
    )


def _person(row: asyncpg.Record) -> Person | None:
    if row["person_id"] is None:
        return None
    return Person(row["person_id"], row["display_name"], row["faces"], row["create_time"], row["update_time"])
