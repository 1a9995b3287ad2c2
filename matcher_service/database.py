"""The pool of connections to Postgres, and the one place where the driver's errors become ours."""

import asyncio
import contextlib
import dataclasses
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import numpy as np
import numpy.typing as npt

from facerec.serving import spans
from facerec.serving.errors import StartError
from matcher_service import deadline, metrics, migrations
from matcher_service.admission import Gate, most_of
from matcher_service.check_connection import CHECK_SECONDS, CheckConnection
from matcher_service.errors import CollectionNotFound, MatcherError, Overloaded, StoreUnavailable
from matcher_service.extension import check_extension, check_server
from matcher_service.queries import load
from matcher_service.traffic import Traffic

RETRY_UNAVAILABLE_SECONDS = 1.0
RETRY_OVERLOADED_SECONDS = 0.1
RELEASE_SECONDS = 1.0  # for a statement whose caller hung up to be cancelled; its connection is closed else
BULK_WAIT_SECONDS = 30.0  # for a chunk of an import, which takes about a tenth of one
LULL_SECONDS = 0.005  # the longest wait for short requests, before a statement or a step of a scan
DIMENSIONS = 128
_VECTOR_HEADER = DIMENSIONS.to_bytes(2, "big") + b"\0\0"

CACHED_STATEMENTS = 256  # a connection's; each collection has its own texts, and a plan takes about 50 kB
_PARTITION = re.compile(r"\b(?:person|face|enroll_request)_[0-9a-f]{32}\b")  # as our statements name them
_OPENING = "relation_open"  # the server's function that finds a table dropped under a statement

_COLLECTION_GONE = "_collection_id_fkey"  # how the constraints end that want a row's collection to be there

Connection = asyncpg.pool.PoolConnectionProxy

_BUSY = (
    asyncpg.QueryCanceledError,  # statement_timeout
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidCachedStatementError,  # a migration changed what it reads; the next try prepares it anew
)

_REFUSED = (
    asyncpg.InsufficientPrivilegeError,  # the role facerec_serve may not be taken, or lacks a grant
    asyncpg.InvalidParameterValueError,  # there is no such role
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


@dataclasses.dataclass(frozen=True)
class DatabaseOptions:
    """Where the database is and how it is used. Times are in seconds, sizes in connections."""

    url: str
    pool_min_size: int = 2
    pool_max_size: int = 10
    pool_wait_seconds: float = 1.0
    search_pool_size: int = 4
    statement_timeout_seconds: float = 10.0
    lock_timeout_seconds: float = 3.0
    connect_timeout_seconds: float = 5.0
    scan_pool_size: int = 2
    scan_workers: int = 1
    scan_wait_seconds: float = 5.0
    scan_timeout_seconds: float = 30.0
    transfer_pool_size: int = 3


class Database:
    """Three pools, opened once the schema is there, that refuse work while the schema does not fit.

    Exact scans of large collections have a pool of their own, of few connections and parallel workers, so
    that no number of them takes a connection from a call that needs a millisecond; and so has work in bulk.
    In front of each pool is a gate of as many permits, so that callers share it and nobody waits within.
    `check` has a connection besides: what it says does not depend on how busy calls keep the others.
    Every session acts as the role facerec_serve, whoever logged in, so it cannot change the schema.
    """

    def __init__(self, options: DatabaseOptions) -> None:
        self._options = options
        self._pool: asyncpg.Pool | None = None
        self._scan_pool: asyncpg.Pool | None = None
        self._transfer_pool: asyncpg.Pool | None = None
        self._refusal = "the database has not been reached yet"
        self._schema = ""  # pgvector's
        self._checking = CheckConnection(self._connect_check)
        self.traffic = Traffic()
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
        """Return why the database cannot be used, or "" when it can; opens the pool the first time.

        Until this finds the schema at head, and after it finds it past head, calls are refused. It is asked
        over a connection of its own, and answered within 2 * CHECK_SECONDS once the pools are open.
        Raises StoreUnavailable when the database cannot be reached or does not answer.
        """
        with translated():
            try:
                if self._pool is None or self._scan_pool is None or self._transfer_pool is None:
                    await self._open()
                version = await self._checking.ask(_schema_version)
            except StartError as error:
                self._refusal = str(error)
                return self._refusal
            except _REFUSED as error:  # for the operator; callers need not hear of roles and logins
                return f"the database refuses the login: {error}; has `matcher_service migrate` been run?"
        self._refusal = _describe(version)
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
        opened = (self._pool, self._scan_pool, self._transfer_pool)
        pools = [pool for pool in opened if pool is not None]
        self._pool = self._scan_pool = self._transfer_pool = None
        try:
            async with asyncio.timeout(self._options.connect_timeout_seconds):
                await asyncio.gather(*(pool.close() for pool in pools))
        except TimeoutError:
            for pool in pools:
                pool.terminate()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for a short request. Raises StoreUnavailable, Overloaded."""
        with self.traffic.passing():
            async with self._connection(self._pool, self._calls) as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def search_connection(self) -> AsyncIterator[Connection]:
        """A connection for a statement of milliseconds, as a search by index or a page of a list is: so many
        at once, and after short requests. Raises as `connection`.
        """
        async with self._searches.permit():
            await self.traffic.lull(LULL_SECONDS)
            async with self._connection(self._pool, self._calls) as connection:
                yield connection

    def scan_connection(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection for an exact scan, as many at once as its pool holds. Raises as `connection`."""
        return self._connection(self._scan_pool, self._scans)

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
            self._connection(self._scan_pool, self._scans, long=True) as connection,
        ):
            yield connection

    def transfer_connection(
        self, *, long: bool = False
    ) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection for work in bulk, as many at once as its pool holds; `long` for work that takes longer
        than a chunk of an import. Raises as `connection`.
        """
        return self._connection(self._transfer_pool, self._transfers, long=long)

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
                except (asyncpg.UndefinedTableError, asyncpg.InternalServerError) as error:
                    await _explain_lost_table(connection, error)
                    raise
                finally:
                    metrics.DATABASE_SECONDS.observe(time.perf_counter() - had)
                    await pool.release(connection, timeout=RELEASE_SECONDS)
            finally:
                gate.leave(permit, None if long or had is None else time.perf_counter() - had)

    async def _open(self) -> None:
        """Open the pools; a second look finds those that did open."""
        options = self._options
        connection = await asyncpg.connect(options.url, timeout=options.connect_timeout_seconds)
        try:
            await check_server(connection)
            schema = self._schema = await check_extension(connection)
        finally:
            await connection.close(timeout=options.connect_timeout_seconds)

        self._pool = self._pool or await self._pool_of(
            schema,
            (options.pool_min_size, options.pool_max_size),
            statement_seconds=options.statement_timeout_seconds,
            workers=0,
        )
        self._scan_pool = self._scan_pool or await self._pool_of(
            schema,
            (0, options.scan_pool_size),
            statement_seconds=options.scan_timeout_seconds,
            workers=options.scan_workers,
        )
        self._transfer_pool = self._transfer_pool or await self._pool_of(
            schema,
            (0, options.transfer_pool_size),
            statement_seconds=options.scan_timeout_seconds,
            workers=0,
        )
        _show_connections("calls", self._pool)
        _show_connections("scans", self._scan_pool)
        _show_connections("transfers", self._transfer_pool)

    async def _pool_of(
        self, schema: str, sizes: tuple[int, int], *, statement_seconds: float, workers: int
    ) -> asyncpg.Pool:
        async def prepare(connection: asyncpg.Connection, /) -> None:
            await connection.set_type_codec(
                "vector", schema=schema, encoder=_as_is, decoder=_as_is, format="binary"
            )

        least, most = sizes
        return await asyncpg.create_pool(
            self._options.url,
            min_size=least,
            max_size=most,
            timeout=self._options.connect_timeout_seconds,
            command_timeout=statement_seconds + 1,
            max_cached_statement_lifetime=0,
            statement_cache_size=CACHED_STATEMENTS,
            server_settings=self._session(schema, statement_seconds, workers),
            init=prepare,
            reset=_keep,
        )

    async def _connect_check(self) -> asyncpg.Connection:
        options = self._options
        return await asyncpg.connect(
            options.url,
            timeout=options.connect_timeout_seconds,
            server_settings=self._session(self._schema, CHECK_SECONDS, workers=0),
        )

    def _session(self, schema: str, statement_seconds: float, workers: int) -> dict[str, str]:
        """What each of our sessions is set to when it begins."""
        return {
            "application_name": "facerec-matcher",
            "jit": "off",
            "lock_timeout": f"{self._options.lock_timeout_seconds:.3f}s",
            "statement_timeout": f"{statement_seconds:.3f}s",
            "max_parallel_workers_per_gather": str(workers),
            "role": "facerec_serve",
            "search_path": schema,
        }


async def _schema_version(connection: asyncpg.Connection) -> int:
    try:
        version: int = await connection.fetchval(load()["schema_version"])
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return 0
    return version


async def _maintenance_summary(
    connection: asyncpg.Connection,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    (left,) = await connection.fetch(load()["maintenance_left"])
    return dict(left), [dict(row) for row in await connection.fetch(load()["maintenance_steps"])]


async def _acquired(pool: asyncpg.Pool, most_seconds: float) -> Connection:
    """A connection whose permit is held: one is free, or may be opened. Raises Overloaded."""
    # Half of what is left: refused in time, the caller still hears why.
    wait_seconds = deadline.remaining_seconds(2 * most_seconds) / 2
    try:
        return await pool.acquire(timeout=wait_seconds)
    except TimeoutError:
        raise Overloaded(
            "no connection to the database came in time; try again in a moment",
            retry_after_seconds=RETRY_OVERLOADED_SECONDS,
        ) from None


def _show_connections(name: str, pool: asyncpg.Pool) -> None:
    metrics.CONNECTIONS.labels(name, "open").set_function(pool.get_size)
    metrics.CONNECTIONS.labels(name, "most").set_function(pool.get_max_size)
    metrics.CONNECTIONS.labels(name, "used").set_function(lambda: pool.get_size() - pool.get_idle_size())


def vector_wire(values: npt.NDArray[np.float32]) -> bytes:
    """pgvector's binary form of 128 float32 values: int16 dimensions, int16 unused, then big-endian."""
    return _VECTOR_HEADER + values.astype(">f4").tobytes()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise a driver's error as StoreUnavailable or Overloaded; let ours and faults of ours through."""
    try:
        yield
    except (MatcherError, ValueError):  # ValueError: an argument the driver cannot bind, which is our fault
        raise
    except asyncpg.InternalServerError as error:
        if not _is_of_a_lost_table(error):
            raise
        raise _unavailable() from error
    except asyncpg.ForeignKeyViolationError as error:
        if str(error.constraint_name).endswith(_COLLECTION_GONE):  # deleted since the call looked it up
            raise CollectionNotFound from error
        raise
    except _BUSY as error:
        raise Overloaded(
            "the database was too busy for this; try again in a moment",
            retry_after_seconds=RETRY_OVERLOADED_SECONDS,
        ) from error
    except (
        OSError,  # refused, unreachable, reset; TimeoutError is one
        asyncpg.PostgresConnectionError,
        asyncpg.UndefinedTableError,
        asyncpg.OperatorInterventionError,  # shutting down, starting, crashed
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InsufficientPrivilegeError,
        asyncpg.InsufficientResourcesError,  # disk full, out of memory
        asyncpg.ReadOnlySQLTransactionError,  # a standby
        asyncpg.InterfaceError,  # the connection was lost under a statement
        asyncpg.InternalClientError,
    ) as error:
        raise _unavailable() from error


def _is_of_a_lost_table(error: asyncpg.PostgresError) -> bool:
    """Whether a table was not there any more. Read from codes and names: messages are in any language."""
    return isinstance(error, asyncpg.UndefinedTableError) or error.server_source_function == _OPENING


async def _explain_lost_table(connection: Connection, error: asyncpg.PostgresError) -> None:
    """Say what became of the collection where a table of its own was not there.

    Which table that was is only in the server's message, so those that the statement names are asked for.
    Raises CollectionNotFound where one is gone, Overloaded where they are there again.
    """
    tables = set(_PARTITION.findall(getattr(error, "query", None) or ""))
    if not tables or not _is_of_a_lost_table(error):
        return
    if await connection.fetchval(load()["any_table_gone"], list(tables)):
        raise CollectionNotFound from error
    raise Overloaded(
        "the collection was erased and made anew meanwhile; try again in a moment",
        retry_after_seconds=RETRY_OVERLOADED_SECONDS,
    ) from error


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable(
        "the database cannot be used now; try again in a moment",
        retry_after_seconds=RETRY_UNAVAILABLE_SECONDS,
    )


def _describe(version: int) -> str:
    head = migrations.head()
    if version < head:
        return (
            f"the schema is at version {version} and this release needs {head}: run `matcher_service migrate`"
        )
    if version > head:
        return f"the schema is at version {version}, past the {head} this release knows: run a newer release"
    return ""


def _as_is(value: bytes) -> bytes:
    return value


async def _keep(connection: asyncpg.Connection) -> None:
    """Nothing to reset: no statement leaves session state, and RESET ALL would cost a round trip."""
