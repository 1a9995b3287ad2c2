"""One standby: its connections, whether it can be read from, and the reads on it."""

import asyncio
import contextlib
import dataclasses
import math
import time
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Final, Literal, TypeAlias

import asyncpg
import structlog

from matcher_service import metrics
from matcher_service.admission import FairSemaphore
from matcher_service.domain.errors import MatcherError, ReadInterrupted
from matcher_service.domain.status import StandbyStatus
from matcher_service.postgres.connections.check_connection import CheckConnection
from matcher_service.postgres.connections.pools import DatabaseOptions, Pools
from matcher_service.postgres.driver_errors import CONFLICT_ERRORS, LOST_ERRORS
from matcher_service.postgres.session import Connection
from matcher_service.postgres.standbys.history import PositionHistory
from matcher_service.postgres.standbys.positions import Position, Replay, Unfit, why_unfit
from matcher_service.postgres.statements import load

ReadKind: TypeAlias = Literal["index", "scan", "export"]
"""The kind of a read, each with connections of its own: milliseconds, a scan or review, a whole export."""

ANSWER_SECONDS: Final = 0.5  # a healthy server says in a millisecond what it has replayed, if it is idle
ACQUIRE_SECONDS: Final = 1.0  # for a connection, which may have to be opened
RELEASE_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.001, 0.01  # between two questions for what is replayed: the first, and the longest

log = structlog.get_logger(__name__)


class StandbyUnfit(Exception):
    """The standby cannot answer this read; nothing was read."""

    def __init__(self, reason: Unfit) -> None:
        super().__init__(reason)
        self.reason = reason


class Standby:
    """Lends connections that have replayed a position of the primary's log.

    `unfit` is why nothing is read from it, None if it is read from: a failure of a read sets it, and a
    `check` that succeeds clears it. `in_flight` counts the reads on it, waiting ones included. `replayed`, in
    bytes of the log, and `streaming`, whether it is connected to the server that it follows, are as of when
    it was last asked.
    """

    def __init__(self, number: int, url: str, options: DatabaseOptions) -> None:
        """`number` tells it from other standbys in logs and metrics. Raises UrlInvalid."""
        self.number = number
        self.url = url
        self.unfit: Unfit | None = Unfit.UNAVAILABLE
        self.in_flight = 0
        self.streaming = False
        self.replayed = 0
        own = dataclasses.replace(
            options, url=url, url_file=None, pool_min_size=0, pool_max_size=options.search_pool_size
        )
        self.pools = Pools(own, standby=number)
        self._wait_seconds = options.replay_wait_seconds
        self._checking = CheckConnection(lambda: self.pools.connect(ACQUIRE_SECONDS))
        self._check_lock = asyncio.Lock()  # of that connection
        self._reading: set[Connection] = set()
        self._semaphores: dict[ReadKind, FairSemaphore] = {
            "index": FairSemaphore(
                options.search_pool_size, wait_seconds=options.pool_wait_seconds, kind="index"
            ),
            "scan": FairSemaphore(
                options.scan_pool_size, wait_seconds=options.scan_wait_seconds, kind="scan"
            ),
            "export": FairSemaphore(
                options.transfer_pool_size, wait_seconds=options.pool_wait_seconds, kind="export"
            ),
        }
        self._lag = metrics.STANDBY_LAG.labels(str(number))
        self._staleness = metrics.STANDBY_STALENESS.labels(str(number))
        self._usable = metrics.STANDBY_USABLE.labels(str(number))
        self._usable.set(0)

    def usable(self, *, bounded: bool) -> bool:
        """Whether it may be read from; one that lags may for a read whose staleness is bounded."""
        return self.unfit is None or (bounded and self.unfit is Unfit.LAGGING)

    def status(self, history: PositionHistory) -> StandbyStatus:
        """Its state as of when it was last asked; `history` has the primary's positions."""
        newest, staleness_seconds = history.newest, history.staleness_seconds(self.replayed)
        return StandbyStatus(
            self.number,
            unfit=self.unfit or "",
            streaming=self.streaming,
            lag_bytes=max(0, newest.lsn - self.replayed) if newest and self.replayed else None,
            staleness_seconds=staleness_seconds if math.isfinite(staleness_seconds) else None,
            reads_in_flight=self.in_flight,
        )

    async def check(self, position: Position, history: PositionHistory) -> None:
        """Find out whether it can be read from; it is read from until a read or a check fails."""
        async with self._check_lock:
            await self._check(position)
        self._lag.set(max(0, position.lsn - self.replayed))
        self._staleness.set(history.staleness_seconds(self.replayed))

    async def _check(self, position: Position) -> None:
        try:
            async with asyncio.timeout(ACQUIRE_SECONDS):
                await self.pools.open()
            async with asyncio.timeout(ACQUIRE_SECONDS + self._wait_seconds):
                await self._checking.run_once(
                    lambda connection: self._check_replay(connection, position, self._wait_seconds)
                )
        except StandbyUnfit as unfit:
            self.exclude(unfit.reason)
        except TimeoutError:
            self.exclude(Unfit.UNRESPONSIVE)
        except Exception as error:
            self.exclude(Unfit.UNAVAILABLE, type(error).__name__)
        else:
            await self._include()

    async def _include(self) -> None:
        if self.unfit in (Unfit.UNRESPONSIVE, Unfit.UNAVAILABLE):
            await self.pools.renew()  # some connections may lead to nowhere, and would be noticed one by one
        if self.unfit is not None:
            log.info("standby_usable", server=self.number)
        self.unfit = None
        self._usable.set(1)

    def exclude(self, reason: Unfit, error: str = "") -> None:
        """Read nothing more from it until a check succeeds; ends the reads on a server that hangs."""
        if self.unfit is not reason:
            log.warning("standby_excluded", server=self.number, why=str(reason), error=error)
        self.unfit = reason
        self._usable.set(0)
        if reason is Unfit.UNRESPONSIVE:
            closed, self._reading = self._reading, set()
            for connection in closed:
                _close(connection)

    async def close(self) -> None:
        """Close every connection; those in use have some seconds to finish."""
        self._checking.close()
        await self.pools.close()
        for gauge in (metrics.STANDBY_LAG, metrics.STANDBY_STALENESS, metrics.STANDBY_USABLE):
            with contextlib.suppress(KeyError):
                gauge.remove(str(self.number))

    @contextlib.asynccontextmanager
    async def connection(
        self,
        kind: ReadKind,
        position: Position,
        *,
        waits: bool = True,
        callers: Collection[str] = (),
        long: bool = False,
    ) -> AsyncIterator[Connection]:
        """A connection whose next snapshot has all up to `position`. With `waits` it waits a moment until the
        standby has that.

        Raises StandbyUnfit before it lends one, Overloaded, and ReadInterrupted while it is used.
        """
        self.in_flight += 1
        unfit = self.unfit
        try:
            permit = await self._semaphores[kind].acquire(callers)
            acquired = time.perf_counter()
            try:
                if self.unfit not in (None, unfit):  # another read found that out while this one waited
                    raise StandbyUnfit(self.unfit)
                async with self._acquired(kind) as connection:
                    await self._confirm(connection, position, self._wait_seconds if waits else 0.0)
                    with self._interruptible(connection):
                        yield connection
            finally:
                seconds = time.perf_counter() - acquired
                self._semaphores[kind].release(permit, None if long else seconds)
        finally:
            self.in_flight -= 1

    @contextlib.asynccontextmanager
    async def _acquired(self, kind: ReadKind) -> AsyncIterator[Connection]:
        pools = {"index": self.pools.calls, "scan": self.pools.scans, "export": self.pools.transfers}
        if (pool := pools[kind]) is None:
            raise StandbyUnfit(Unfit.UNAVAILABLE)
        try:
            connection = await pool.acquire(timeout=ACQUIRE_SECONDS)
        except LOST_ERRORS as error:
            raise StandbyUnfit(_reason(error)) from error
        try:
            yield connection
        finally:
            await pool.release(connection, timeout=RELEASE_SECONDS)

    async def _confirm(self, connection: Connection, position: Position, wait_seconds: float) -> None:
        """Check the connection's server. Its own statement: the snapshot of the read is taken after it."""
        try:
            await self._check_replay(connection, position, wait_seconds)
        except LOST_ERRORS as error:
            _close(connection)
            raise StandbyUnfit(_reason(error)) from error

    async def _check_replay(self, connection: Connection, position: Position, wait_seconds: float) -> None:
        """Wait so long until all is replayed. Raises StandbyUnfit, TimeoutError, what the driver raises."""
        ends = time.monotonic() + wait_seconds
        pause, longest = _POLL_SECONDS
        while True:
            async with asyncio.timeout(wait_seconds + ANSWER_SECONDS):
                replay = await read_replay(connection)
            self.replayed, self.streaming = replay.lsn or 0, replay.streaming
            reason = why_unfit(position, replay)
            if reason is None:
                return
            left = ends - time.monotonic()
            if reason is not Unfit.LAGGING or left <= 0:
                raise StandbyUnfit(reason)
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, longest)

    @contextlib.contextmanager
    def _interruptible(self, connection: Connection) -> Iterator[None]:
        """Turn failures of the server into ReadInterrupted, and exclude it."""
        self._reading.add(connection)
        try:
            yield
        except (MatcherError, asyncpg.QueryCanceledError):
            raise  # the latter is the statement's timeout, as on the primary
        except Exception as error:
            closed = connection not in self._reading  # by `exclude`: the driver may fail in any way then
            if not closed and not isinstance(error, (*CONFLICT_ERRORS, *LOST_ERRORS)):
                raise
            reason = Unfit.UNRESPONSIVE if closed else _reason(error)
            metrics.FALLBACKS.labels(reason).inc()
            if reason is not Unfit.CONFLICT:
                _close(connection)
                self.exclude(reason, type(error).__name__)
            raise ReadInterrupted from error
        finally:
            self._reading.discard(connection)


async def read_replay(connection: Connection) -> Replay:
    """What the connection's server has replayed."""
    row = await connection.fetchrow(load()["replay_position"].text)
    assert row is not None
    return Replay.of(row)


def _close(connection: Connection) -> None:
    """Close a connection without waiting for the server; a statement that runs on it fails at once."""
    with contextlib.suppress(asyncpg.InterfaceError):  # it is closed already
        connection.terminate()


def _reason(error: BaseException) -> Unfit:
    if isinstance(error, CONFLICT_ERRORS):
        return Unfit.CONFLICT
    return Unfit.UNRESPONSIVE if isinstance(error, TimeoutError) else Unfit.UNAVAILABLE
