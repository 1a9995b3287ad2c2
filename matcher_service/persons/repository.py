"""The statements on people and their faces; rows become dataclasses."""

import datetime
import uuid
from typing import Any

from matcher_service.audit.changes import Action, Change, append_event
from matcher_service.domain.attributes import Attributes, Selection, check_count
from matcher_service.domain.errors import Overloaded, PersonFull
from matcher_service.domain.faces import Erasure, Face, FaceChange, Merge, Person, PersonChange
from matcher_service.persons.listing import read_page
from matcher_service.persons.rows import changed_fields, face_of, person_of
from matcher_service.postgres.database import Database, Row, Session
from matcher_service.postgres.driver_errors import RETRY_OVERLOADED_SECONDS, retried_on_schema_change

LOCK_ATTEMPTS = 5
NEVER = datetime.datetime.max.replace(tzinfo=datetime.UTC)  # the driver's form of infinity


class PersonRepository:
    """Reads and changes people and faces. `max_faces_per_person` is the most faces of a person.

    Every method raises CollectionNotFound, StoreUnavailable and Overloaded.
    """

    def __init__(self, database: Database, *, max_faces_per_person: int) -> None:
        self.database = database
        self.max_faces_per_person = max_faces_per_person

    @retried_on_schema_change
    async def get_person(self, collection_id: str, person_id: str) -> Person | None:
        """Read one person."""
        async with self.database.session(collection_id) as session:
            return person_of(await session.required_row("get_person", person_id=person_id))

    @retried_on_schema_change
    async def list_persons(
        self, collection_id: str, selection: Selection, after: str, limit: int
    ) -> tuple[list[Person], bool]:
        """Read at most `limit` people ordered by id, after the id `after`, and whether others follow."""
        async with self.database.search_session(collection_id) as session:
            return await read_page(session, selection, after, limit)

    @retried_on_schema_change
    async def update_person(
        self, collection_id: str, person_id: str, change: PersonChange, *, allow_missing: bool
    ) -> tuple[Person | None, bool]:
        """Change a person, whom `allow_missing` adds if there is none, and say whether it did.

        Raises OptionInvalid for too many labels.
        """
        attributes, created = change.attributes, False
        async with self.database.transaction(collection_id) as session:
            if allow_missing:
                created = await session.row("add_person", person_id=person_id) is not None
            locked = await session.required_row("lock_persons", person_ids=[person_id])
            if allow_missing and locked["person_key"] is None:
                raise Overloaded(
                    "the person was erased during the call; retry later",
                    retry_after_seconds=RETRY_OVERLOADED_SECONDS,
                )
            row = await session.required_row(
                "update_person",
                person_id=person_id,
                display_name=change.display_name,
                removed_labels=attributes.removed,
                replaces_labels=attributes.replaces_labels,
                suspended=attributes.suspended,
                **attributes.values,
            )
            if row["person_id"] is not None:
                check_count(len(Attributes.of(row["labels"], row["metadata"]).labels), "labels")
                changed = changed_fields(row)
                details = {"changed": changed} if changed else {}
                if created:
                    details["created"] = "true"
                if row["suspended_or_resumed"]:
                    details["suspended"] = str(row["suspended"]).lower()
                event = Change(Action.UPDATE_PERSON, row["person_tag"], persons=1, details=details)
                await append_event(session, event)
        return person_of(row), created

    @retried_on_schema_change
    async def get_persons(self, collection_id: str, person_ids: list[str]) -> dict[str, Person]:
        """Read those of several persons who exist, by id."""
        async with self.database.session(collection_id) as session:
            rows = await session.required_rows("get_persons", person_ids=person_ids)
        return {person.person_id: person for row in rows if (person := person_of(row))}

    @retried_on_schema_change
    async def delete_persons(self, collection_id: str, person_ids: list[str]) -> Erasure:
        """Erase persons and their faces. Locks the persons first, so that no face is added meanwhile."""
        async with self.database.transaction(collection_id) as session:
            rows = await session.required_rows("lock_persons", person_ids=person_ids)
            locked = [row for row in rows if row["person_key"] is not None]
            keys = [row["person_key"] for row in locked]
            erased = await session.required_row("delete_persons", person_keys=keys)
            for row, faces in zip(locked, erased["faces"], strict=True):
                change = Change(Action.DELETE_PERSON, row["person_tag"], persons=1, faces=faces)
                await append_event(session, change)
        return Erasure(len(locked), sum(erased["faces"]), erased["delete_time"], erased["erasure_id"])

    @retried_on_schema_change
    async def merge_persons(self, collection_id: str, source_id: str, target_id: str) -> Merge | str:
        """Move the source's faces to the target; returns the id of a person that does not exist instead.

        The target is suspended if either is. Raises PersonFull.
        """
        async with self.database.transaction(collection_id) as session:
            locked = await session.required_row(
                "lock_merged_persons", source_id=source_id, target_id=target_id
            )
            for key, person_id in (("source_key", source_id), ("target_key", target_id)):
                if locked[key] is None:
                    return person_id
            keys = locked["source_key"], locked["target_key"]
            # If all faces of both are expired, the target's stay: by them `maintain` finds the person to
            # erase.
            lasts = await session.value("any_unexpired", person_keys=keys)
            await delete_expired(session, [source_id, target_id] if lasts else [source_id])
            if await session.value("count_merged", person_keys=keys) > self.max_faces_per_person:
                raise PersonFull(self.max_faces_per_person, field="target_person_id")
            row = await session.required_row(
                "merge_persons", source_key=keys[0], target_key=keys[1], suspends=locked["suspends"]
            )
            # An enrollment in progress for the source would recreate it, and its search ignored faces now the
            # target's.
            await session.execute("outdate_duplicate_searches")
            details = {"source_person_tag": locked["source_tag"].hex()}
            if locked["suspends"]:
                details |= {"changed": "suspended", "suspended": "true"}
            change = Change(Action.MERGE_PERSONS, locked["target_tag"], 2, len(row["moved"]), details)
            await append_event(session, change)
        person = person_of(row)
        assert person is not None
        return Merge(person, row["moved"])

    @retried_on_schema_change
    async def list_faces(
        self,
        collection_id: str,
        person_id: str,
        external_ref: str,
        after: tuple[datetime.datetime, uuid.UUID] | None,
        limit: int,
    ) -> list[Face] | None:
        """Read a person's faces, or without a person id everybody's, oldest first, after a time and id.

        With an `external_ref` only those with this reference; with neither all, by id alone. None if there is
        no such person.
        """
        after_time, after_face_id = after or (None, None)
        page: dict[str, Any] = {"after_time": after_time, "after_face_id": after_face_id, "max_rows": limit}
        async with self.database.search_session(collection_id) as session:
            if not person_id:
                rows = (
                    await session.required_rows("list_faces_by_reference", external_ref=external_ref, **page)
                    if external_ref
                    else await session.required_rows(
                        "list_all_faces", after_face_id=after_face_id, max_rows=limit
                    )
                )
                return [face_of(row, row["person_id"]) for row in rows if row["person_id"] is not None]
            rows = await session.required_rows(
                "list_faces", person_id=person_id, external_ref=external_ref, **page
            )
        if not rows[0]["person_found"]:
            return None
        return [face_of(row, person_id) for row in rows if row["face_id"] is not None]

    @retried_on_schema_change
    async def get_face(self, collection_id: str, face_id: uuid.UUID) -> Face | None:
        """Read one face."""
        async with self.database.session(collection_id) as session:
            row = await session.required_row("get_face", face_id=face_id)
        return None if row["person_id"] is None else face_of(row, row["person_id"])

    @retried_on_schema_change
    async def update_face(self, collection_id: str, face_id: uuid.UUID, change: FaceChange) -> bool:
        """Change one face and lock its person; returns False if there is no such face."""
        async with self.database.transaction(collection_id) as session:
            locked = await _lock_person_of(session, face_id)
            found = await session.row(
                "update_face",
                face_id=face_id,
                person_key=locked["person_key"],
                external_ref=change.external_ref,
                changes_expiry=change.changes_expiry,
                expire_time=change.expire_time or NEVER,
            )
            if found is None:
                return False
            details = {"changed": ", ".join(change.names)}
            event = Change(Action.UPDATE_FACE, locked["person_tag"], persons=1, faces=1, details=details)
            await append_event(session, event)
        return True

    @retried_on_schema_change
    async def delete_face(self, collection_id: str, face_id: uuid.UUID) -> Erasure:
        """Erase one face and lock its person, as for every change of a person's faces."""
        async with self.database.transaction(collection_id) as session:
            locked = await _lock_person_of(session, face_id)
            row = await session.required_row("delete_face", face_id=face_id, person_key=locked["person_key"])
            if row["faces"]:
                change = Change(Action.DELETE_FACE, locked["person_tag"], persons=1, faces=row["faces"])
                await append_event(session, change)
        return Erasure(0, row["faces"], row["delete_time"], row["erasure_id"])

    @retried_on_schema_change
    async def get_erasure(self, collection_id: str, erasure_id: uuid.UUID) -> Erasure | None:
        """Read the receipt of an erasure with its state."""
        async with self.database.session(collection_id) as session:
            row = await session.required_row("get_erasure", erasure_id=erasure_id)
        if row["delete_time"] is None:
            return None
        times = row["delete_time"], erasure_id, row["vacuum_time"], row["scrub_time"]
        return Erasure(row["persons"], row["faces"], *times)


async def _lock_person_of(session: Session, face_id: uuid.UUID) -> Row:
    """Lock the person of a face; the key is None if there is no such face. Raises Overloaded."""
    for _ in range(LOCK_ATTEMPTS):
        locked = await session.required_row("lock_person_of_face", face_id=face_id)
        if locked["person_key"] is not None or not locked["face_found"]:
            return locked
    raise Overloaded(
        "the face was moved to another person during each attempt; retry later",
        retry_after_seconds=RETRY_OVERLOADED_SECONDS,
    )


async def delete_expired(session: Session, person_ids: list[str]) -> None:
    """Erase the expired faces of locked persons, with a receipt and an audit event for each person."""
    for row in await session.rows("delete_expired", person_ids=person_ids):
        await append_event(session, Change(Action.EXPIRE, row["person_tag"], faces=row["faces"]))
