"""The primary's commit position, read by one statement for all calls that wait for it, and remembered."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import asyncpg

from matcher_service.postgres.connections.check_connection import CheckConnection
from matcher_service.postgres.session import Connection
from matcher_service.postgres.standbys.history import PositionHistory
from matcher_service.postgres.standbys.positions import Position
from matcher_service.postgres.statements import load


class ReadIndex:
    """Learns the primary's commit position, on a connection of its own.

    A call joins only a statement that begins after it: what was committed before the call is covered.
    `history` has what was learned in the last `max_age_seconds`.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[asyncpg.Connection]], *, max_age_seconds: float = 0.0
    ) -> None:
        self._connection = CheckConnection(connect)
        self.history = PositionHistory(max_age_seconds)
        self._next: asyncio.Future[Position] | None = None
        self._task: asyncio.Task[None] | None = None

    async def position(self) -> Position:
        """The position at a moment after this was called, on the primary's disk.

        Raises what the driver raises, and TimeoutError, within 2 * CHECK_SECONDS.
        """
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            self._next.add_done_callback(_retrieve)
            if self._task is None:
                # It is the work of several calls: the present one's context, with its trace, is not for it.
                self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        return await asyncio.shield(self._next)

    def renew(self) -> None:
        """Close the connection; the next statement opens another one."""
        self._connection.close()

    async def close(self) -> None:
        """Close the connection, and end the statement that runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._connection.close()

    async def _run(self) -> None:
        try:
            while (waiting := self._next) is not None:
                self._next = None  # who comes from here on waits for the next statement
                try:
                    waiting.set_result(await self._ask())
                except Exception as error:
                    waiting.set_exception(error)
                except BaseException:
                    waiting.cancel()
                    raise
        finally:
            self._task = None

    async def _ask(self) -> Position:
        asked = self.history.now()
        position = await self._connection.run(read_position)
        self.history.add(asked, position)
        return position


async def read_position(connection: Connection) -> Position:
    """Read the position, and write the log to disk up to there: until then it reaches no standby."""
    row = await connection.fetchrow(load()["commit_position"].text)
    assert row is not None
    position = Position.of(row)
    if not position.flushed:
        # By itself that may take seconds: of what reads write (hint bits, pruned pages) no commit follows.
        await connection.execute(load()["flush_commits"].text)
    return position


def _retrieve(waited: asyncio.Future[Position]) -> None:
    """Mark an error as seen, if the calls that waited have gone."""
    if not waited.cancelled():
        waited.exception()
