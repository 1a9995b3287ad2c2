"""One run after another over all collections."""

import asyncio
import dataclasses

import asyncpg
import structlog

from facerec.serving.errors import StartError
from matcher_service.maintenance.indexes import Builder
from matcher_service.maintenance.purging import forget_audit, purge
from matcher_service.maintenance.scrubbing import scrub, vacuum
from matcher_service.maintenance.session import connect, take_turn
from matcher_service.queries import load, of_collection

log = structlog.get_logger(__name__)

_PASSING = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


@dataclasses.dataclass(frozen=True)
class MaintenanceOptions:
    """Where the database is and how it is maintained; memory is an index build's.

    `scrub` writes the files of collections anew from which something was erased. Retention is in days,
    0 for ever.
    """

    url: str
    interval_seconds: float = 60.0
    index_memory_bytes: int = 1024 * 1024 * 1024
    scrub: bool = False
    recall_check_seconds: float = 6 * 3600.0
    audit_retention_days: int = 365
    decision_retention_days: int = 30


async def run_once(options: MaintenanceOptions) -> bool:
    """Maintain every collection once; False when another process is at it. Raises MaintenanceError."""
    async with connect(options.url) as connection, connect(options.url) as watcher:
        if not await take_turn(connection):
            return False
        await _maintain(options, connection, watcher)
        return True


async def run(options: MaintenanceOptions) -> None:
    """Maintain every collection again and again, waiting out a database that is away. Ends when cancelled.

    Raises MaintenanceError when the first look finds that it may not.
    """
    reached = False
    while True:
        try:
            done = await run_once(options)
            reached = True
            if not done:
                log.info("another_maintains")
        except StartError as error:
            if not reached:
                raise
            log.warning("maintenance_failed", why=str(error))
        except _PASSING as error:
            log.warning("maintenance_failed", why=type(error).__name__)
        await asyncio.sleep(options.interval_seconds)


async def _maintain(
    options: MaintenanceOptions, connection: asyncpg.Connection, watcher: asyncpg.Connection
) -> None:
    builder = Builder(connection, watcher, options.index_memory_bytes, options.recall_check_seconds)
    for row in await connection.fetch(load("maintenance")["list_collections"]):
        collection_id = row["collection_id"]
        try:
            faces, persons = await purge(connection, collection_id)
            if faces:
                log.info("purged", collection=collection_id, faces=faces, persons=persons)
            if options.scrub:
                await scrub(connection, builder, collection_id)
            await builder.keep(collection_id)
            await connection.execute(
                of_collection(collection_id, "maintenance")["forget_dismissed"], collection_id
            )
            await vacuum(connection, collection_id)
        except asyncpg.UndefinedTableError:
            log.info("collection_gone", collection=collection_id)  # erased meanwhile
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            log.warning("collection_skipped", collection=collection_id, why=type(error).__name__)
    forgotten = await forget_audit(connection, options.audit_retention_days, options.decision_retention_days)
    if forgotten:
        log.info("audit_forgotten", events=forgotten)
