"""Makes faces expire when a test says so, independent of the clock."""

import asyncpg

from matcher_service.postgres.statements import partition_name


async def expire(administrator: asyncpg.Connection, collection_id: str = "default") -> None:
    """Have every face of a collection that ends at some time end a second ago."""
    await administrator.execute(
        f"UPDATE facerec.{partition_name('face', collection_id)}"
        " SET expire_time = now() - interval '1 s' WHERE expire_time < 'infinity'"
    )
