"""Refusing duplicates: a search before an enrolment, then in its transaction a look at what came since.

So the search of a large collection holds no lock, and of two enrolments of one face at once the second finds
the first.
"""

import uuid
from collections.abc import Sequence

from matcher_service.database import Connection
from matcher_service.queries import of_collection

RECENT_FACES = 100  # kept in a row of 1.6 kB: beyond 2 kB it would be stored apart


class SearchOutdated(Exception):
    """The search for duplicates does not hold any more; nothing of the call was stored."""


class DuplicateFound(Exception):
    """The item at `place` is another person's, enrolled since the search; nothing of the call was stored."""

    def __init__(self, place: int, person_id: str) -> None:
        super().__init__(place)
        self.place = place
        self.person_id = person_id


async def check_recent(
    connection: Connection,
    collection_id: str,
    person_id: str,
    encodings: Sequence[bytes | None],
    source_ids: Sequence[uuid.UUID | None],
    *,
    enrolled: int | None,
    threshold: float,
) -> None:
    """Compare faces with what was enrolled since the search; no other is enrolled until the transaction ends.

    Each face is an encoding as pgvector reads it, the id of a stored face, or neither where the person has
    it. `enrolled` is what the collection had counted before the search, `threshold` the largest distance of
    a duplicate. Raises SearchOutdated, DuplicateFound.
    """
    queries = of_collection(collection_id)
    recent = await connection.fetchrow(queries["lock_recent_enrollment"], collection_id)
    if recent is None or enrolled is None:
        raise SearchOutdated
    missed = recent["enrolled"] - enrolled
    if not 0 <= missed <= recent["kept"]:
        raise SearchOutdated
    if missed:
        near = await connection.fetchrow(
            queries["find_recent_duplicate"],
            collection_id,
            person_id,
            missed,
            encodings,
            source_ids,
            threshold,
        )
        if near is not None:
            raise DuplicateFound(near["place"] - 1, near["person_id"])


async def note_recent(connection: Connection, collection_id: str, face_ids: Sequence[uuid.UUID]) -> None:
    """Count faces that were added, for the searches under way."""
    query = of_collection(collection_id)["note_recent_enrollment"]
    await connection.execute(query, collection_id, face_ids, RECENT_FACES)
