"""Taking a connection out of a pool in the time that the caller has left."""

import asyncpg

from facerec.serving.middleware import call
from matcher_service.domain.errors import Overloaded
from matcher_service.postgres.driver_errors import RETRY_OVERLOADED_SECONDS


async def acquire(pool: asyncpg.Pool, max_seconds: float) -> asyncpg.pool.PoolConnectionProxy:
    """Acquire a connection; with a permit held, one is free or may be opened. Raises Overloaded."""
    # Half of the remaining time, so that the refusal arrives before the deadline.
    wait_seconds = call.remaining_seconds(2 * max_seconds) / 2
    try:
        return await pool.acquire(timeout=wait_seconds)
    except TimeoutError:
        raise Overloaded(
            "no database connection became free in time; retry later",
            retry_after_seconds=RETRY_OVERLOADED_SECONDS,
        ) from None
