"""Connections to the database for each kind of work, shared among callers by gates."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from facerec.serving.middleware import call
from facerec.serving.observability import spans
from facerec.serving.server.errors import StartError
from matcher_service import metrics
from matcher_service.domain.errors import CollectionRecreated, Overloaded, SchemaChanged, StoreUnavailable
from matcher_service.postgres import migrations
from matcher_service.postgres.admission import FairSemaphore, three_quarters_of
from matcher_service.postgres.connections.check_connection import CHECK_SECONDS, CheckConnection
from matcher_service.postgres.connections.pools import DatabaseOptions, Pools
from matcher_service.postgres.driver_errors import (
    LOGIN_ERRORS,
    NO_SCHEMA_ERRORS,
    RETRY_OVERLOADED_SECONDS,
    RETRY_UNAVAILABLE_SECONDS,
    STALE_ERRORS,
    explain,
    retried_on_schema_change,
    translated,
)
from matcher_service.postgres.session import Connection, Row, Session
from matcher_service.postgres.short_requests import ShortRequests
from matcher_service.postgres.statements import load

__all__ = ["YIELD_SECONDS", "Database", "DatabaseOptions", "Row", "Session"]

RELEASE_SECONDS = 1.0  # for a statement whose caller hung up to be cancelled; its connection is closed else
BULK_WAIT_SECONDS = 30.0  # for a chunk of an import, which takes about a tenth of one
YIELD_SECONDS = 0.005  # the longest wait for short requests, before a statement or a step of a scan


class Database:
    """Connections by kinds of work, that refuse it while the schema does not fit.

    Exact scans of large collections have a pool of their own, of few connections and parallel workers, so
    that no number of them takes a connection from a call that needs a millisecond; and so has work in bulk.
    In front of each pool is a gate of as many permits, so that callers share it and nobody waits within.
    `check` has a connection besides: what it says does not depend on how busy calls keep the others.
    """

    def __init__(self, options: DatabaseOptions) -> None:
        self._options = options
        self._pools = Pools(options)
        self._refusal = "the database has not been reached yet"
        self._renewals = 0
        self._checking = CheckConnection(lambda: self._pools.connect(CHECK_SECONDS))
        self.short_requests = ShortRequests()
        # Waiting for a row's lock holds a connection for seconds: one caller's may not hold them all.
        self._calls = FairSemaphore(
            options.pool_max_size,
            wait_seconds=options.pool_wait_seconds,
            kind="call",
            share=three_quarters_of(options.pool_max_size),
        )
        self._searches = FairSemaphore(
            options.search_pool_size, wait_seconds=options.pool_wait_seconds, kind="index"
        )
        self._scans = FairSemaphore(
            options.scan_pool_size, wait_seconds=options.scan_wait_seconds, kind="scan"
        )
        self._maintenance = FairSemaphore(
            max(1, options.scan_pool_size - 1), wait_seconds=options.scan_timeout_seconds, kind="maintenance"
        )
        self._transfers = FairSemaphore(
            options.transfer_pool_size, wait_seconds=BULK_WAIT_SECONDS, kind="transfer"
        )
        exports = max(1, options.transfer_pool_size - 1)
        self._exports = FairSemaphore(
            exports, wait_seconds=options.pool_wait_seconds, kind="export", share=max(1, exports // 2)
        )

    async def check(self) -> str:
        """Return why the database cannot be used, or "" when it can; opens the pools the first time.

        Until this finds a schema that serves this release, and after it finds another one, calls are refused.
        It is asked over a connection of its own, and known within 2 * CHECK_SECONDS once the pools are open.
        Raises StoreUnavailable when the database cannot be reached or does not answer.
        """
        with translated():
            try:
                await self._pools.open()
                if self._renewals != self._pools.renewals:
                    self._renewals = self._pools.renewals
                    self._checking.close()
                self._refusal = migrations.incompatibility(*await self._checking.ask(_schema_version))
            except NO_SCHEMA_ERRORS:
                self._refusal = migrations.incompatibility(0, 0)
            except StartError as error:
                self._refusal = str(error)
            except LOGIN_ERRORS as error:  # for the operator; callers need not hear of roles and logins
                return (
                    f"the database refuses the login: {error}; run `matcher_service migrate` if that was "
                    "not done"
                )
        return self._refusal

    async def maintenance_summary(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What maintenance left to do, and a row of each of its steps. Asked once, over `check`'s connection.

        Raises StoreUnavailable, Overloaded.
        """
        with translated():
            return await self._checking.ask_once(_maintenance_summary)

    async def close(self) -> None:
        """Close every connection; those in use get some seconds to end."""
        self._checking.close()
        await self._pools.close()

    @contextlib.asynccontextmanager
    async def session(self, collection_id: str = "") -> AsyncIterator[Session]:
        """A session for short requests.

        Raises StoreUnavailable, Overloaded, and while it is used those of any call.
        """
        with self.short_requests.tracked():
            async with self._session(self._pools.calls, self._calls, collection_id) as session:
                yield session

    @contextlib.asynccontextmanager
    async def transaction(self, collection_id: str) -> AsyncIterator[Session]:
        """A session for a short request's transaction, in which every statement sees what was committed
        before it.

        Raises as `session`.
        """
        async with self.session(collection_id) as session, session.transaction():
            yield session

    @retried_on_schema_change
    async def row(self, name: str, collection_id: str, **values: Any) -> Row | None:
        """Run one statement as a short request; its first row, if it has one. Raises as `session`."""
        async with self.session(collection_id) as session:
            return await session.row(name, **values)

    @contextlib.asynccontextmanager
    async def search_session(self, collection_id: str = "") -> AsyncIterator[Session]:
        """A session for a statement of milliseconds, as a search by index or a page of a list is: so many at
        once, and yielding to short requests. Raises as `session`.
        """
        async with self._searches.permit():
            await self.short_requests.wait_until_idle(YIELD_SECONDS)
            async with self._session(self._pools.calls, self._calls, collection_id) as session:
                yield session

    def scan_session(self, collection_id: str) -> contextlib.AbstractAsyncContextManager[Session]:
        """A session for an exact scan, as many at once as its pool holds. Raises as `session`."""
        return self._session(self._pools.scans, self._scans, collection_id)

    def check_scan_capacity(self) -> None:
        """Raises Overloaded where a scan would be refused at once."""
        self._scans.check_capacity()

    @contextlib.asynccontextmanager
    async def maintenance_session(self, collection_id: str) -> AsyncIterator[Session]:
        """A session of the scans' pool for seconds of short statements; it leaves one to scans where there
        are two.

        Raises as `session`.
        """
        async with (
            self._maintenance.permit(),
            self._session(self._pools.scans, self._scans, collection_id, long=True) as session,
        ):
            yield session

    def transfer_session(
        self, collection_id: str, *, long: bool = False
    ) -> contextlib.AbstractAsyncContextManager[Session]:
        """A session for work in bulk, as many at once as its pool holds; `long` for work that takes longer
        than a chunk of an import. Raises as `session`.
        """
        return self._session(self._pools.transfers, self._transfers, collection_id, long=long)

    @contextlib.asynccontextmanager
    async def export_session(self, collection_id: str) -> AsyncIterator[Session]:
        """A session for work in bulk that is kept while its caller reads: one is left to imports where there
        are two, and one to other callers' exports where there are three. Raises as `session`.
        """
        async with self._exports.permit(), self.transfer_session(collection_id, long=True) as session:
            yield session

    @contextlib.asynccontextmanager
    async def _session(
        self, pool: asyncpg.Pool | None, semaphore: FairSemaphore, collection_id: str, *, long: bool = False
    ) -> AsyncIterator[Session]:
        if pool is None or self._refusal:
            raise StoreUnavailable(self._refusal, retry_after_seconds=RETRY_UNAVAILABLE_SECONDS)
        with translated():
            requested = time.perf_counter()
            permit = await semaphore.enter()
            acquired: float | None = None
            try:
                connection = await _acquire(pool, self._options.connect_timeout_seconds)
                acquired = time.perf_counter()
                metrics.POOL_SECONDS.observe(acquired - requested)
                try:
                    with spans.of_part("postgres"):
                        yield Session(connection, collection_id)
                except STALE_ERRORS as error:
                    await self._explain(connection, collection_id, error)
                    raise
                finally:
                    metrics.DATABASE_SECONDS.observe(time.perf_counter() - acquired)
                    await pool.release(connection, timeout=RELEASE_SECONDS)
            finally:
                semaphore.leave(permit, None if long or acquired is None else time.perf_counter() - acquired)

    async def _explain(self, connection: Connection, collection_id: str, error: Exception) -> None:
        try:
            await explain(connection, getattr(connection, "prepared_for", None), collection_id, error)
        except CollectionRecreated:
            raise
        except SchemaChanged:
            await self._pools.renew()
            raise


async def _schema_version(connection: asyncpg.Connection) -> tuple[int, int]:
    row = await connection.fetchrow(load()["schema_version"].text)
    assert row is not None
    return row["version"], row["serves_from"]


async def _maintenance_summary(
    connection: asyncpg.Connection,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    (left,) = await connection.fetch(load()["maintenance_left"].text)
    return dict(left), [dict(row) for row in await connection.fetch(load()["maintenance_steps"].text)]


async def _acquire(pool: asyncpg.Pool, max_seconds: float) -> asyncpg.pool.PoolConnectionProxy:
    """A connection whose permit is held: one is free, or may be opened. Raises Overloaded."""
    # Half of what is left: refused in time, the caller still hears why.
    wait_seconds = call.remaining_seconds(2 * max_seconds) / 2
    try:
        return await pool.acquire(timeout=wait_seconds)
    except TimeoutError:
        raise Overloaded(
            "no database connection became free in time; retry later",
            retry_after_seconds=RETRY_OVERLOADED_SECONDS,
        ) from None
