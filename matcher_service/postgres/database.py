"""Connections to the database for each kind of work, shared among callers by gates."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import numpy as np
import numpy.typing as npt

from facerec.serving.middleware import call
from facerec.serving.observability import spans
from facerec.serving.server.errors import StartError
from matcher_service import metrics
from matcher_service.domain.errors import Overloaded, SchemaChanged, StoreUnavailable
from matcher_service.postgres import migrations
from matcher_service.postgres.admission import Gate, most_of
from matcher_service.postgres.check_connection import CHECK_SECONDS, CheckConnection
from matcher_service.postgres.driver_errors import (
    RETRY_OVERLOADED_SECONDS,
    RETRY_UNAVAILABLE_SECONDS,
    SUSPECT,
    Connection,
    explain,
    translated,
)
from matcher_service.postgres.pools import DatabaseOptions, Pools
from matcher_service.postgres.short_requests import ShortRequests
from matcher_service.postgres.statements import load

__all__ = ["DIMENSIONS", "LULL_SECONDS", "Connection", "Database", "DatabaseOptions", "vector_wire"]

RELEASE_SECONDS = 1.0  # for a statement whose caller hung up to be cancelled; its connection is closed else
BULK_WAIT_SECONDS = 30.0  # for a chunk of an import, which takes about a tenth of one
LULL_SECONDS = 0.005  # the longest wait for short requests, before a statement or a step of a scan
DIMENSIONS = 128
_VECTOR_HEADER = DIMENSIONS.to_bytes(2, "big") + b"\0\0"

_REFUSED = (
    asyncpg.InsufficientPrivilegeError,  # the role facerec_serve may not be taken, or lacks a grant
    asyncpg.InvalidParameterValueError,  # there is no such role
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


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
        self.traffic = ShortRequests()
        # Waiting for a row's lock holds a connection for seconds: one caller's may not hold them all.
        self._calls = Gate(
            options.pool_max_size,
            wait_seconds=options.pool_wait_seconds,
            kind="call",
            share=most_of(options.pool_max_size),
        )
        self._searches = Gate(options.search_pool_size, wait_seconds=options.pool_wait_seconds, kind="index")
        self._scans = Gate(options.scan_pool_size, wait_seconds=options.scan_wait_seconds, kind="scan")
        self._maintenance = Gate(
            max(1, options.scan_pool_size - 1), wait_seconds=options.scan_timeout_seconds, kind="maintenance"
        )
        self._transfers = Gate(options.transfer_pool_size, wait_seconds=BULK_WAIT_SECONDS, kind="transfer")
        exports = max(1, options.transfer_pool_size - 1)
        self._exports = Gate(
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
                self._refusal = migrations.why_unfit(*await self._checking.ask(_schema_version))
            except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
                self._refusal = migrations.why_unfit(0, 0)
            except StartError as error:
                self._refusal = str(error)
            except _REFUSED as error:  # for the operator; callers need not hear of roles and logins
                return f"the database refuses the login: {error}; has `matcher_service migrate` been run?"
        return self._refusal

    async def maintenance_summary(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What maintenance left to do, and a row of each of its steps. Asked once, over `check`'s connection.

        Raises StoreUnavailable, Overloaded.
        """
        with translated():
            return await self._checking.ask_once(_maintenance_summary)

    async def close(self) -> None:
        """Close every connection; those in use get a moment to end."""
        self._checking.close()
        await self._pools.close()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for a short request. Raises StoreUnavailable, Overloaded."""
        with self.traffic.passing():
            async with self._connection(self._pools.calls, self._calls) as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def search_connection(self) -> AsyncIterator[Connection]:
        """A connection for a statement of milliseconds, as a search by index or a page of a list is: so many
        at once, and after short requests. Raises as `connection`.
        """
        async with self._searches.permit():
            await self.traffic.lull(LULL_SECONDS)
            async with self._connection(self._pools.calls, self._calls) as connection:
                yield connection

    def scan_connection(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection for an exact scan, as many at once as its pool holds. Raises as `connection`."""
        return self._connection(self._pools.scans, self._scans)

    def check_scan(self) -> None:
        """Raises Overloaded where a scan would be refused at once."""
        self._scans.check_room()

    @contextlib.asynccontextmanager
    async def maintenance_connection(self) -> AsyncIterator[Connection]:
        """A connection of the scans' for seconds of short statements; it leaves one to scans where there are
        two. Raises as `connection`.
        """
        async with (
            self._maintenance.permit(),
            self._connection(self._pools.scans, self._scans, long=True) as connection,
        ):
            yield connection

    def transfer_connection(
        self, *, long: bool = False
    ) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection for work in bulk, as many at once as its pool holds; `long` for work that takes longer
        than a chunk of an import. Raises as `connection`.
        """
        return self._connection(self._pools.transfers, self._transfers, long=long)

    @contextlib.asynccontextmanager
    async def export_connection(self) -> AsyncIterator[Connection]:
        """A connection for work in bulk that is kept while its caller reads: one is left to imports where
        there are two, and one to other callers' exports where there are three. Raises as `connection`.
        """
        async with self._exports.permit(), self.transfer_connection(long=True) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def _connection(
        self, pool: asyncpg.Pool | None, gate: Gate, *, long: bool = False
    ) -> AsyncIterator[Connection]:
        if pool is None or self._refusal:
            raise StoreUnavailable(self._refusal, retry_after_seconds=RETRY_UNAVAILABLE_SECONDS)
        with translated():
            asked = time.perf_counter()
            permit = await gate.enter()
            had: float | None = None
            try:
                connection = await _acquired(pool, self._options.connect_timeout_seconds)
                had = time.perf_counter()
                metrics.POOL_SECONDS.observe(had - asked)
                try:
                    with spans.of_part("postgres"):
                        yield connection
                except SUSPECT as error:
                    await self._explain(connection, error)
                    raise
                finally:
                    metrics.DATABASE_SECONDS.observe(time.perf_counter() - had)
                    await pool.release(connection, timeout=RELEASE_SECONDS)
            finally:
                gate.leave(permit, None if long or had is None else time.perf_counter() - had)

    async def _explain(self, connection: Connection, error: Exception) -> None:
        try:
            await explain(connection, getattr(connection, "prepared_for", None), error)
        except SchemaChanged:
            await self._pools.renew()
            raise


async def _schema_version(connection: asyncpg.Connection) -> tuple[int, int]:
    row = await connection.fetchrow(load()["schema_version"])
    assert row is not None
    return row["version"], row["serves_from"]


async def _maintenance_summary(
    connection: asyncpg.Connection,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    (left,) = await connection.fetch(load()["maintenance_left"])
    return dict(left), [dict(row) for row in await connection.fetch(load()["maintenance_steps"])]


async def _acquired(pool: asyncpg.Pool, most_seconds: float) -> Connection:
    """A connection whose permit is held: one is free, or may be opened. Raises Overloaded."""
    # Half of what is left: refused in time, the caller still hears why.
    wait_seconds = call.remaining_seconds(2 * most_seconds) / 2
    try:
        return await pool.acquire(timeout=wait_seconds)
    except TimeoutError:
        raise Overloaded(
            "no connection to the database came in time; try again in a moment",
            retry_after_seconds=RETRY_OVERLOADED_SECONDS,
        ) from None


def vector_wire(values: npt.NDArray[np.float32]) -> bytes:
    """pgvector's binary form of 128 float32 values: int16 dimensions, int16 unused, then big-endian."""
    return _VECTOR_HEADER + values.astype(">f4").tobytes()
