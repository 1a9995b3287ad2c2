"""The pools of connections to Postgres."""

import asyncio
import dataclasses
import functools
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from matcher_service import metrics
from matcher_service.postgres.connections import address
from matcher_service.postgres.connections.extension import (
    check_extension,
    check_server,
)
from matcher_service.postgres.connections.pooler import (
    SERVING_ROLE,
    Limits,
    PoolMode,
    check_pooler,
)
from matcher_service.postgres.connections.prepared import (
    PREPARE_SECONDS,
    PreparedConnection,
    keep,
    prepare,
)
from matcher_service.postgres.connections.url import DatabaseUrl
from matcher_service.postgres.statements import load

CACHED_STATEMENTS = (
    256  # per connection; each collection has its own statements, and a plan takes about 50 kB
)

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class DatabaseOptions:
    """The database and how it is used. Times are in seconds, sizes in connections.

    `url_file` is the file that `url` was read from, if any: it is read again when it changes. `read_urls` are
    the URLs of standbys, separated by blanks or line ends, and `read_urls_file` their file alike.
    """

    url: str
    url_file: Path | None = None
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
    read_urls: str = ""
    read_urls_file: Path | None = None
    replay_wait_seconds: float = 0.05
    standby_check_seconds: float = 1.0
    max_staleness_seconds: float = 0.0

    def limits(self) -> Limits:
        """What a pooler's sessions should have, which serve all kinds of work."""
        longest = max(self.statement_timeout_seconds, self.scan_timeout_seconds)
        return Limits(self.lock_timeout_seconds, longest)


class Pools:
    """Three pools for one URL: for short requests, for exact scans, and for bulk work.

    Every session acts as the role facerec_serve, whatever its login, so it cannot change the schema.
    `renewals` counts how often all connections were replaced. `standby` is the number of a standby whose URL
    the options have, by which the metrics name its pools; 0 for the primary, which is then searched for.
    """

    def __init__(self, options: DatabaseOptions, *, standby: int = 0) -> None:
        self._options = options
        self._standby = standby
        self._url = DatabaseUrl(options.url, options.url_file)
        self.calls: asyncpg.Pool | None = None
        self.scans: asyncpg.Pool | None = None
        self.transfers: asyncpg.Pool | None = None
        self.renewals = 0
        self._primary: asyncpg.Record | None = None

    async def open(self) -> asyncpg.Pool:
        """Open the pools that are not open; returns the pool of short requests.

        Raises DatabaseUnfit, UrlInvalid, and what asyncpg raises.
        """
        await self._refresh_url()
        if self.calls is not None and self.scans is not None and self.transfers is not None:
            return self.calls
        options = self._options
        connection = await self._connect()
        try:
            await check_server(connection)
            await self._check_pooler(connection)
        finally:
            await connection.close(timeout=options.connect_timeout_seconds)
        self.calls = self.calls or await self._pool_of(
            "calls",
            (options.pool_min_size, options.pool_max_size),
            statement_seconds=options.statement_timeout_seconds,
        )
        self.scans = self.scans or await self._pool_of(
            "scans",
            (0, options.scan_pool_size),
            statement_seconds=options.scan_timeout_seconds,
            workers=options.scan_workers,
        )
        self.transfers = self.transfers or await self._pool_of(
            "transfers", (0, options.transfer_pool_size), statement_seconds=options.scan_timeout_seconds
        )
        return self.calls

    async def _check_pooler(self, connection: asyncpg.Connection) -> None:
        """Raises DatabaseUnfit if a pooler is between whose sessions cannot serve."""
        schema = await check_extension(connection)
        mode = await check_pooler(connection, self._connect, schema=schema, limits=self._options.limits())
        if mode is not PoolMode.NO_POOLER:
            log.info("pooler_found", mode=mode.value)

    async def renew(self) -> None:
        """Replace every connection as soon as it is not in use."""
        self.renewals += 1
        for pool in self._opened():
            await pool.expire_connections()

    async def connect(self, statement_seconds: float) -> asyncpg.Connection:
        """Open a connection separate from the pools, not prepared for vectors.

        Raises UrlInvalid, and what asyncpg raises.
        """
        return await self._connect(server_settings=self._session(statement_seconds, workers=0))

    async def close(self) -> None:
        """Close every connection; those in use have some seconds to finish."""
        pools = self._opened()
        self.calls = self.scans = self.transfers = None
        try:
            async with asyncio.timeout(self._options.connect_timeout_seconds):
                await asyncio.gather(*(pool.close() for pool in pools))
        except TimeoutError:
            for pool in pools:
                pool.terminate()

    def _opened(self) -> list[asyncpg.Pool]:
        return [pool for pool in (self.calls, self.scans, self.transfers) if pool is not None]

    async def _refresh_url(self) -> None:
        """Read the URL's file; if it changed, replace the connections."""
        if self._url.refresh():
            await self.renew()

    async def _connect(self, *_: Any, **arguments: Any) -> asyncpg.Connection:
        await self._refresh_url()
        return await address.connect(
            self._url.text,
            seconds=self._options.connect_timeout_seconds,
            any_server=self._standby > 0,
            accept=None if self._standby else self._accept,
            **arguments,
        )

    async def _accept(self, connection: asyncpg.Connection) -> bool:
        """Whether a server may be used: not one that was the primary before a promotion, and is back.

        Where it is another one than before, the connections to that one are replaced.
        """
        found = await connection.fetchrow(load()["primary_identity"].text)
        known = self._primary
        if found is None or found["timeline"] is None:  # a standby, which the URL must have asked for
            return True
        if known is not None and found != known:
            if found["system"] == known["system"] and found["timeline"] < known["timeline"]:
                log.warning("former_primary_refused", timeline=found["timeline"], newest=known["timeline"])
                return False
            log.warning("primary_changed", timeline=found["timeline"], before=known["timeline"])
            await self.renew()
        self._primary = found
        return True

    def _session(self, statement_seconds: float, workers: int) -> dict[str, str]:
        """The settings of each session."""
        return {
            "application_name": "facerec-matcher",
            "default_transaction_isolation": "read committed",  # as the triggers of faces require
            "jit": "off",
            "lock_timeout": f"{self._options.lock_timeout_seconds:.3f}s",
            "statement_timeout": f"{statement_seconds:.3f}s",
            "max_parallel_workers_per_gather": str(workers),
            "role": SERVING_ROLE,
        }

    async def _pool_of(
        self, name: str, sizes: tuple[int, int], *, statement_seconds: float, workers: int = 0
    ) -> asyncpg.Pool:
        least, most = sizes
        pool: asyncpg.Pool = await asyncpg.create_pool(
            connect=self._connect,
            connection_class=PreparedConnection,
            min_size=least,
            max_size=most,
            command_timeout=statement_seconds + 1,
            max_cached_statement_lifetime=0,
            statement_cache_size=CACHED_STATEMENTS,
            server_settings=self._session(max(statement_seconds, PREPARE_SECONDS), workers),
            init=functools.partial(
                prepare, limits=Limits(self._options.lock_timeout_seconds, statement_seconds, workers)
            ),
            reset=keep,
        )
        if self._standby:
            name = f"standby{self._standby}_{name}"
        metrics.CONNECTIONS.labels(name, "open").set_function(pool.get_size)
        metrics.CONNECTIONS.labels(name, "most").set_function(pool.get_max_size)
        metrics.CONNECTIONS.labels(name, "used").set_function(lambda: pool.get_size() - pool.get_idle_size())
        return pool
