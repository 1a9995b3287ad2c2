"""The connection that checks whether the database can be used."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg

from matcher_service.postgres.statements import load

CHECK_SECONDS = 3.0  # a healthy database answers in a millisecond

T = TypeVar("T")
_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class CheckConnection:
    """One connection separate from the pools, opened when first needed and again after a failure.

    An open connection may be lost although the database is healthy, so a query that fails on it is retried
    once on a new one. The answer takes at most 2 * CHECK_SECONDS.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._connection: asyncpg.Connection | None = None

    async def run(self, query: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Run a query. Raises what the driver raises, and TimeoutError."""
        if self._connection is not None:
            with contextlib.suppress(*_LOST):
                return await self.run_once(query)
        return await self.run_once(query)

    async def run_once(self, query: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Run a query within CHECK_SECONDS, on the open connection or a new one; closes it on failure.

        Raises as `run`.
        """
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                if self._connection is None:
                    self._connection = await self._connect()
                return await query(self._connection)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection without waiting for the server, which may be unreachable."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def read_schema_version(connection: asyncpg.Connection) -> tuple[int, int]:
    """The schema's version, and the least version that it serves."""
    row = await connection.fetchrow(load()["schema_version"].text)
    assert row is not None
    return row["version"], row["serves_from"]


async def read_maintenance_summary(
    connection: asyncpg.Connection,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What maintenance left to do, and a row of each of its steps."""
    (left,) = await connection.fetch(load()["maintenance_left"].text)
    return dict(left), [dict(row) for row in await connection.fetch(load()["maintenance_steps"].text)]
