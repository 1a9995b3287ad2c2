"""Moves faces between people, and gives people other ids."""

import uuid
from collections import Counter
from collections.abc import Sequence

from matcher_service.audit.changes import Action, Change, append_event
from matcher_service.domain.errors import Overloaded, PersonExists, PersonFull, StoredFaceNotFound
from matcher_service.domain.faces import Move, Person
from matcher_service.persons.repository import LOCK_ATTEMPTS, PersonRepository, delete_expired
from matcher_service.persons.rows import person_of
from matcher_service.postgres.database import Row, Session
from matcher_service.postgres.driver_errors import RETRY_OVERLOADED_SECONDS, retried_on_schema_change

EXISTS = "the collection has a person with this id: merge the two, or choose another id"


@retried_on_schema_change
async def move_faces(
    repository: PersonRepository, collection_id: str, face_ids: Sequence[uuid.UUID], target_id: str
) -> Move:
    """Move faces of any persons to one, who is added if new: all of them, or none.

    Faces that the target has stay theirs. A target that is added is suspended if an owner of the faces is, so
    that nobody is resumed by a move. Raises StoredFaceNotFound for the first that does not exist, PersonFull,
    CollectionNotFound, StoreUnavailable, Overloaded.
    """
    async with repository.database.transaction(collection_id) as session:
        created, persons, owners = await _lock(session, face_ids, target_id)
        target_key = persons[target_id]["person_key"]
        keys = [person["person_key"] for person in persons.values()]
        suspends = created and any(person["suspended"] for person in persons.values())
        if suspends:
            await session.execute("suspend_person", person_key=target_key)
        row = await session.required_row(
            "move_faces", face_ids=face_ids, target_key=target_key, person_keys=keys
        )
        if row["faces"] > repository.max_faces_per_person:
            raise PersonFull(repository.max_faces_per_person, field="target_person_id")
        if row["persons"]:
            await session.execute("outdate_duplicate_searches")
            details = {"changed": "suspended", "suspended": "true"} if suspends else {}
            await _append_events(session, persons, owners, target_id, details)
        person = person_of(await session.required_row("get_person", person_id=target_id))
    assert person is not None
    return Move(person, created, row["moved"], row["copies"])


async def _lock(
    session: Session, face_ids: Sequence[uuid.UUID], target_id: str
) -> tuple[bool, dict[str, Row], dict[uuid.UUID, int]]:
    """Lock the target, who is added if new, and the faces' owners, and erase what has expired of them.

    Returns whether the target was added, the persons by id, and each face's owner. A face may be moved, or
    the target erased, while this waits for a lock: the next attempt finds it where it is.
    """
    created = False
    for _ in range(LOCK_ATTEMPTS):
        created |= await session.row("add_person", person_id=target_id) is not None
        locked = await session.rows("lock_moved_persons", face_ids=face_ids, target_id=target_id)
        persons = {row["person_id"]: row for row in locked}
        await delete_expired(session, list(persons))
        found = await session.rows("owners_of_faces", face_ids=face_ids)
        owners = {row["face_id"]: row["person_key"] for row in found}
        if target_id in persons and set(owners.values()) <= {row["person_key"] for row in locked}:
            _check_found(face_ids, owners)
            return created, persons, owners
    raise Overloaded(
        "the faces or the person changed during each attempt; retry later",
        retry_after_seconds=RETRY_OVERLOADED_SECONDS,
    )


def _check_found(face_ids: Sequence[uuid.UUID], owners: dict[uuid.UUID, int]) -> None:
    for index, face_id in enumerate(face_ids):
        if face_id not in owners:
            raise StoredFaceNotFound("the collection has no face with this id", field=f"face_ids[{index}]")


async def _append_events(
    session: Session,
    persons: dict[str, Row],
    owners: dict[uuid.UUID, int],
    target_id: str,
    target_details: dict[str, str],
) -> None:
    """Append an event for the target and one for each person who gave faces away."""
    target = persons[target_id]
    given = Counter(owners.values())
    given.pop(target["person_key"], None)
    givers = [person for person in persons.values() if given[person["person_key"]]]
    for person in givers:
        details = {"target_person_tag": target["person_tag"].hex()}
        faces = given[person["person_key"]]
        await append_event(session, Change(Action.MOVE_FACES, person["person_tag"], 1, faces, details))
    change = Change(Action.MOVE_FACES, target["person_tag"], 1 + len(givers), given.total(), target_details)
    await append_event(session, change)


@retried_on_schema_change
async def rename_person(
    repository: PersonRepository, collection_id: str, person_id: str, new_person_id: str
) -> Person | None:
    """Give a person another id; None if there is no such person.

    A row of the new id keeps others from taking it meanwhile. Raises PersonExists, CollectionNotFound,
    StoreUnavailable, Overloaded.
    """
    async with repository.database.transaction(collection_id) as session:
        placeholder = await session.row("add_person", person_id=new_person_id)
        if placeholder is None:
            raise PersonExists(EXISTS, field="new_person_id")
        locked = await session.required_row("lock_persons", person_ids=[person_id])
        await session.execute("delete_placeholder", person_key=placeholder["person_key"])
        if locked["person_key"] is None:
            return None
        row = await session.required_row(
            "rename_person", person_key=locked["person_key"], person_id=new_person_id
        )
        await append_event(session, Change(Action.RENAME_PERSON, row["person_tag"], 1))
    return person_of(row)
