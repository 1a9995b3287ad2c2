"""Marking of faces as centers, where whoever enrolled them did not."""

from matcher_service.postgres.session import Connection, Session

BATCH_PERSONS = 500  # a transaction's, so that nobody waits long for a person it holds


async def mark_centers(connection: Connection, collection_id: str) -> int:
    """Work out the centers of people who have a face far from all of theirs; counts these people.

    Whoever is being changed now is left out: the next run finds them.
    """
    session, serving = (
        Session(connection, collection_id, role="maintenance"),
        Session(connection, collection_id),
    )
    keys = [row["person_key"] for row in await session.rows("list_persons_to_mark")]
    marked = 0
    for first in range(0, len(keys), BATCH_PERSONS):
        async with session.transaction():
            held = await session.rows("lock_persons_to_mark", person_keys=keys[first : first + BATCH_PERSONS])
            # A statement of its own: it sees what was committed before the lock was had.
            await serving.execute("update_centers", person_keys=[row["person_key"] for row in held])
            marked += len(held)
    return marked
