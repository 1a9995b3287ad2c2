"""The connection over which a matcher asks whether its database can be used."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

CHECK_SECONDS = 3.0  # for what a database that is well answers in a millisecond

T = TypeVar("T")
_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


class CheckConnection:
    """One connection apart from the pools, opened when it is first needed and again after it failed.

    A connection that was kept may be lost while the database is well, so what fails over it is asked once
    more over a new one. The answer is known after 2 * CHECK_SECONDS at most.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._kept: asyncpg.Connection | None = None

    async def ask(self, question: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Ask the database. Raises what the driver raises, TimeoutError too."""
        if self._kept is not None:
            with contextlib.suppress(*_LOST):
                return await self.ask_once(question)
        return await self.ask_once(question)

    async def ask_once(self, question: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Ask within CHECK_SECONDS, over the connection that is kept or a new one; one that fails is dropped.

        Raises as `ask`.
        """
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                if self._kept is None:
                    self._kept = await self._connect()
                return await question(self._kept)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop the connection without a word to the server, which may not be listening."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.terminate()
