"""Refusing duplicates: a search before an enrolment, and a look at what came since at the end of it.

So the search of a large collection holds no lock, and of two enrolments of one face at once the second finds
the first.
"""

import uuid
from collections.abc import Mapping

from matcher_service.postgres.database import Connection
from matcher_service.postgres.statements import of_collection

RECENT_FACES = 100  # kept in a row of 1.6 kB: beyond 2 kB it would be stored apart


class SearchOutdated(Exception):
    """The search for duplicates does not hold any more; nothing of the call was stored."""


class DuplicateFound(Exception):
    """The item at `place` is another person's, enrolled since the search; nothing of the call was stored."""

    def __init__(self, place: int, person_id: str) -> None:
        super().__init__(place)
        self.place = place
        self.person_id = person_id


async def check_added(
    connection: Connection,
    collection_id: str,
    person_id: str,
    places: Mapping[uuid.UUID, int],
    *,
    enrolled: int | None,
    threshold: float,
) -> None:
    """Compare the faces just added with what others enrolled since the search, as a transaction's last step.

    No other is enrolled until the transaction ends. `places` are the items' by the ids of their faces,
    `enrolled` is what the collection had counted before the search, `threshold` the largest distance of a
    duplicate. Raises SearchOutdated, DuplicateFound.
    """
    queries, face_ids = of_collection(collection_id), list(places)
    recent = await connection.fetchrow(
        queries["note_recent_enrollment"], collection_id, face_ids, RECENT_FACES
    )
    if recent is None or enrolled is None:
        raise SearchOutdated
    missed = recent["enrolled"] - enrolled
    compared = missed + len(face_ids)
    if not len(face_ids) <= compared <= recent["kept"]:
        raise SearchOutdated
    if missed:
        near = await connection.fetchrow(
            queries["find_recent_duplicate"], collection_id, person_id, face_ids, compared, threshold
        )
        if near is not None:
            raise DuplicateFound(places[near["face_id"]], near["person_id"])
