"""Connections to the database for each kind of work, shared fairly among callers."""

import contextlib
import time
from collections.abc import AsyncIterator, Collection
from typing import Any

import asyncpg

from facerec.serving.server.errors import StartError
from matcher_service.admission import FairSemaphore
from matcher_service.domain.errors import StoreUnavailable
from matcher_service.domain.status import Queue, StandbyStatus
from matcher_service.postgres import migrations
from matcher_service.postgres.connections.acquiring import acquire
from matcher_service.postgres.connections.check_connection import (
    CHECK_SECONDS,
    CheckConnection,
    read_maintenance_summary,
    read_schema_version,
)
from matcher_service.postgres.connections.confirming import confirmed
from matcher_service.postgres.connections.pools import DatabaseOptions, Pools
from matcher_service.postgres.driver_errors import (
    LOGIN_ERRORS,
    NO_SCHEMA_ERRORS,
    RETRY_UNAVAILABLE_SECONDS,
    retried_on_schema_change,
    translated,
)
from matcher_service.postgres.lending import measured, renewing
from matcher_service.postgres.permits import Permits
from matcher_service.postgres.session import Row, Session
from matcher_service.postgres.short_requests import ShortRequests
from matcher_service.postgres.standbys.router import ReadRouter
from matcher_service.postgres.standbys.standby import ReadKind

__all__ = ["YIELD_SECONDS", "Database", "DatabaseOptions", "Row", "Session"]

RELEASE_SECONDS = 1.0  # to cancel the statement of a cancelled call; then its connection is closed
YIELD_SECONDS = 0.005  # the longest wait for short requests before a statement or a step of a scan


class Database:
    """Lends connections for each kind of work, and refuses while the schema is incompatible.

    Exact scans of large collections have a pool of their own, with few connections and parallel workers, so
    that they take no connection from a call that needs a millisecond; and so has bulk work. A semaphore with
    as many permits guards each pool, so that callers share it fairly and never wait inside the pool. `check`
    has a separate connection, so that its result does not depend on the load. Searches, scans, reviews and
    exports go to a standby that has all that is committed, if there is one (ReadRouter); with `max_staleness`
    to one that has all that was committed so many seconds before, also while the primary is lost.
    """

    def __init__(self, options: DatabaseOptions) -> None:
        self._options = options
        self._pools = Pools(options)
        self._refusal = "the database has not been reached yet"
        self.schema_version = 0  # when it was last read
        self._renewals = 0
        self._checking = CheckConnection(lambda: self._pools.connect(CHECK_SECONDS))
        self._reads = ReadRouter(options, lambda: self._pools.connect(CHECK_SECONDS))
        self.short_requests = ShortRequests()
        self._permits = Permits.of(options)

    async def check(self) -> str:
        """Return why the database cannot be used, or "" if it can; opens the pools the first time.

        Calls are refused until this finds a schema compatible with this release, and when it finds another
        one. It uses a connection of its own, and ends within 2 * CHECK_SECONDS once the pools are open.
        Raises StoreUnavailable if the database cannot be reached or does not answer.
        """
        with translated():
            try:
                await self._pools.open()
                self._reads.start()
                if self._renewals != self._pools.renewals:
                    self._renewals = self._pools.renewals
                    self._checking.close()
                    self._reads.renew()
                version, serves_from = await self._checking.run(read_schema_version)
                self.schema_version = version
                self._refusal = migrations.incompatibility(version, serves_from)
            except NO_SCHEMA_ERRORS:
                self._refusal = migrations.incompatibility(0, 0)
            except StartError as error:
                self._refusal = str(error)
            except LOGIN_ERRORS as error:  # for the operator's log; callers get no details of logins
                return (
                    f"the database refuses the login: {error}; run `matcher_service migrate` if that was "
                    "not done"
                )
        return self._refusal

    @property
    def refusal(self) -> str:
        """Why calls are refused since the last check, in words that callers may read; "" if they are not."""
        return self._refusal

    def queues(self) -> list[Queue]:
        """The limit in front of each kind of connections."""
        return self._permits.queues()

    def standbys(self) -> list[StandbyStatus]:
        """Each standby, as it was last checked."""
        return self._reads.statuses()

    async def can_read_without_primary(self) -> bool:
        """Whether, after `check` found no database, a standby answers reads with enough `max_staleness`, and
        no standby is connected to the primary: then others most likely reach it no more than this process.
        """
        return not self._refusal and await self._reads.can_read_without_primary()

    async def maintenance_summary(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Read the open work of maintenance, and a row for each of its steps, on the connection of `check`.

        Raises StoreUnavailable, Overloaded.
        """
        with translated():
            return await self._checking.run_once(read_maintenance_summary)

    async def close(self) -> None:
        """Close every connection; those in use have some seconds to finish."""
        self._checking.close()
        await self._reads.close()
        await self._pools.close()

    @contextlib.asynccontextmanager
    async def session(
        self, collection_id: str = "", *, callers: Collection[str] = ()
    ) -> AsyncIterator[Session]:
        """A session for a short request: the current call's, or one for several callers, by their keys.

        Raises StoreUnavailable and Overloaded, also while it is used.
        """
        with self.short_requests.tracked():
            pool, semaphore = self._pools.calls, self._permits.calls
            async with self._session(pool, semaphore, collection_id, callers=callers) as session:
                yield session

    @contextlib.asynccontextmanager
    async def transaction(self, collection_id: str) -> AsyncIterator[Session]:
        """A session with a short request's transaction, in which each statement sees what was committed
        before it.

        Raises as `session`.
        """
        async with self.session(collection_id) as session, session.transaction():
            yield session

    @retried_on_schema_change
    async def row(self, name: str, collection_id: str, **values: Any) -> Row | None:
        """Run one statement as a short request and return its first row, if any. Raises as `session`."""
        async with self.session(collection_id) as session:
            return await session.row(name, **values)

    @contextlib.asynccontextmanager
    async def search_session(self, collection_id: str = "") -> AsyncIterator[Session]:
        """A session for a statement of milliseconds, such as a page of a list. Limited in number; yields to
        short requests. Raises as `session`.
        """
        async with self._permits.searches.permit():
            await self.short_requests.wait_until_idle(YIELD_SECONDS)
            async with self._session(self._pools.calls, self._permits.calls, collection_id) as session:
                yield session

    def index_session(
        self, collection_id: str, *, max_staleness: float | None = None
    ) -> contextlib.AbstractAsyncContextManager[Session]:
        """As `search_session`, for a search by index: on a standby if one is fit. Only reads, and sees all
        that was committed `max_staleness` seconds before; None is 0.

        Raises as `session`, and ReadInterrupted, after which the statements may be run again.
        """
        on_primary = self.search_session(collection_id)
        return self._read("index", on_primary, collection_id, max_staleness=max_staleness)

    def scan_session(
        self, collection_id: str, *, max_staleness: float | None = None, callers: Collection[str] = ()
    ) -> contextlib.AbstractAsyncContextManager[Session]:
        """A session for an exact scan, as many on each server as its pool has connections; `callers` as in
        `session`, the rest as in `index_session`.
        """
        on_primary = self._session(self._pools.scans, self._permits.scans, collection_id, callers=callers)
        return self._read("scan", on_primary, collection_id, max_staleness=max_staleness, callers=callers)

    @contextlib.asynccontextmanager
    async def review_session(
        self, collection_id: str, *, max_staleness: float | None = None
    ) -> AsyncIterator[Session]:
        """A session of the scan pool for Calibrate and reviews: several seconds of short statements.
        Leaves at least one connection to scans, if there are two. As `index_session`.
        """
        on_primary = self._session(self._pools.scans, self._permits.scans, collection_id, long=True)
        read = self._read("scan", on_primary, collection_id, max_staleness=max_staleness, long=True)
        async with self._permits.reviews.permit(), read as session:
            yield session

    def transfer_session(
        self, collection_id: str, *, long: bool = False
    ) -> contextlib.AbstractAsyncContextManager[Session]:
        """A session for bulk work, as many at once as its pool has connections; `long` for work that takes
        longer than a chunk of an import. Raises as `session`.
        """
        return self._session(self._pools.transfers, self._permits.transfers, collection_id, long=long)

    @contextlib.asynccontextmanager
    async def export_session(
        self, collection_id: str, *, max_staleness: float | None = None
    ) -> AsyncIterator[Session]:
        """A session for bulk reads that is held while the caller reads. Leaves a connection to imports if
        there are two, and one to other callers' exports if there are three. As `index_session`.
        """
        on_primary = self.transfer_session(collection_id, long=True)
        read = self._read("export", on_primary, collection_id, max_staleness=max_staleness, long=True)
        async with self._permits.exports.permit(), read as session:
            yield session

    @contextlib.asynccontextmanager
    async def _read(
        self,
        kind: ReadKind,
        on_primary: contextlib.AbstractAsyncContextManager[Session],
        collection_id: str,
        *,
        max_staleness: float | None,
        callers: Collection[str] = (),
        long: bool = False,
    ) -> AsyncIterator[Session]:
        """A session on a standby, or if none is fit the one on the primary."""
        if self._refusal:
            raise StoreUnavailable(self._refusal, retry_after_seconds=RETRY_UNAVAILABLE_SECONDS)
        requested = time.perf_counter()
        with translated():
            read = self._reads.connection(kind, max_staleness=max_staleness, callers=callers, long=long)
            async with read as found:
                if found is None:
                    async with on_primary as session:
                        yield session
                    return
                standby, connection = found
                async with renewing(standby.pools, connection, collection_id):
                    with measured(requested, shared=bool(callers)):
                        yield Session(connection, collection_id, on_primary=False)

    @contextlib.asynccontextmanager
    async def _session(
        self,
        pool: asyncpg.Pool | None,
        semaphore: FairSemaphore,
        collection_id: str,
        *,
        long: bool = False,
        callers: Collection[str] = (),
    ) -> AsyncIterator[Session]:
        if pool is None or self._refusal:
            raise StoreUnavailable(self._refusal, retry_after_seconds=RETRY_UNAVAILABLE_SECONDS)
        with translated():
            requested = time.perf_counter()
            permit = await semaphore.acquire(callers)
            acquired: float | None = None
            try:
                connection = await acquire(pool, self._options.connect_timeout_seconds)
                acquired = time.perf_counter()
                try:
                    async with renewing(self._pools, connection, collection_id):
                        with confirmed(connection), measured(requested, shared=bool(callers)):
                            yield Session(connection, collection_id)
                finally:
                    await pool.release(connection, timeout=RELEASE_SECONDS)
            finally:
                semaphore.release(
                    permit, None if long or acquired is None else time.perf_counter() - acquired
                )
