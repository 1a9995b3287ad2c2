"""Marks faces as centers that an older release enrolled without marks."""

from matcher_service.postgres.session import Connection, Session

BATCH_PERSONS = 500  # of one transaction, so that calls do not wait long for its locks


async def mark_centers(connection: Connection, collection_id: str) -> int:
    """Compute the centers of people with a face far from all their centers; returns the number of people.

    People who are locked by another transaction are left to the next run.
    """
    session, serving = (
        Session(connection, collection_id, role="maintenance"),
        Session(connection, collection_id),
    )
    keys = [row["person_key"] for row in await session.rows("list_persons_to_mark")]
    marked = 0
    for first in range(0, len(keys), BATCH_PERSONS):
        async with session.transaction():
            locked = await session.rows(
                "lock_persons_to_mark", person_keys=keys[first : first + BATCH_PERSONS]
            )
            # A separate statement, so that it sees what was committed before the lock was acquired.
            await serving.execute("update_centers", person_keys=[row["person_key"] for row in locked])
            marked += len(locked)
    return marked
