"""The connection that checks whether the database can be used."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

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
