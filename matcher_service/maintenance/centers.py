"""Marking of faces as centers, where whoever enrolled them did not."""

import asyncpg

from matcher_service.postgres.statements import of_collection

BATCH_PERSONS = 500  # a transaction's, so that nobody waits long for a person it holds


async def mark_centers(connection: asyncpg.Connection, collection_id: str) -> int:
    """Work out the centers of people who have a face far from all of theirs; counts these people.

    Whoever is being changed now is left out: the next run finds them.
    """
    maintenance = of_collection(collection_id, "maintenance")
    keys = [row["person_key"] for row in await connection.fetch(maintenance["list_unmarked"], collection_id)]
    marked = 0
    for first in range(0, len(keys), BATCH_PERSONS):
        async with connection.transaction(isolation="read_committed"):
            some = keys[first : first + BATCH_PERSONS]
            held = await connection.fetch(maintenance["lock_unmarked"], collection_id, some)
            # A statement of its own: it sees what was committed before the lock was had.
            text = of_collection(collection_id)["work_out_centers"]
            await connection.execute(text, collection_id, [row["person_key"] for row in held])
            marked += len(held)
    return marked
