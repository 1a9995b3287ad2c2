"""Runs maintenance over all collections, once or repeatedly."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog

from facerec.serving.server.errors import StartError
from matcher_service.domain.errors import MatcherError
from matcher_service.maintenance.expiry import (
    delete_old_audit_events,
    delete_old_operations,
    delete_old_requests,
    erase_expired,
)
from matcher_service.maintenance.indexes import IndexBuilder
from matcher_service.maintenance.scrubbing import scrub, vacuum
from matcher_service.maintenance.sketches import SketchBuilder
from matcher_service.postgres.connections.address import why_failed
from matcher_service.postgres.connections.owner import SchemaNotReady, connect, try_maintenance_lock
from matcher_service.postgres.connections.url import DatabaseUrl
from matcher_service.postgres.driver_errors import CONNECTING_ERRORS, LOCK_ERRORS, SERVER_ERRORS
from matcher_service.postgres.session import Connection, Session

SCHEMA_POLL_SECONDS = 1.0

log = structlog.get_logger(__name__)


class CollectionsFailed(Exception):
    """Some collections could not be maintained; the log has a line for each. All others were."""


@dataclasses.dataclass(frozen=True)
class MaintenanceOptions:
    """The database and how to maintain it; `index_memory_bytes` is for one index build.

    `url_file` is the file that `url` was read from, if any. `scrub` rewrites the files of collections with
    erased data. Retention is in days, 0 for ever.
    """

    url: str
    url_file: Path | None = None
    interval_seconds: float = 60.0
    index_memory_bytes: int = 1024 * 1024 * 1024
    scrub: bool = False
    recall_check_seconds: float = 6 * 3600.0
    audit_retention_days: int = 365
    decision_retention_days: int = 30
    request_retention_days: int = 30


async def run_once(options: MaintenanceOptions) -> bool:
    """Maintain every collection once; returns False if another process is doing so.

    Before the database is migrated it waits for that, and the log says so once. Raises MaintenanceError, and
    CollectionsFailed after the run.
    """
    is_waiting = False
    while True:
        try:
            return await _run_once(options)
        except SchemaNotReady as error:
            if not is_waiting:
                log.warning("waiting_for_schema", why=str(error))
            is_waiting = True
        await asyncio.sleep(SCHEMA_POLL_SECONDS)


async def _run_once(options: MaintenanceOptions) -> bool:
    async with connect(options.url) as connection, connect(options.url) as watcher:
        if not await try_maintenance_lock(connection):
            return False
        indexes = IndexBuilder(connection, watcher, options.index_memory_bytes, options.recall_check_seconds)
        sketches = SketchBuilder(connection, options.recall_check_seconds)
        await _Run(options, connection, indexes, sketches).maintain()
        return True


async def run(options: MaintenanceOptions) -> None:
    """Maintain every collection repeatedly, also after the database was unreachable. Ends when cancelled.

    Raises MaintenanceError if the first run is not permitted.
    """
    reached = False
    url = DatabaseUrl(options.url, options.url_file)
    while True:
        try:
            url.refresh()
            done = await run_once(dataclasses.replace(options, url=url.text))
            reached = True
            if not done:
                log.info("maintenance_run_skipped")
        except CollectionsFailed:
            reached = True
        except StartError as error:
            if not reached:
                raise
            log.warning("maintenance_failed", why=str(error))
        except CONNECTING_ERRORS as error:
            log.warning("maintenance_failed", why=why_failed(error))
        await asyncio.sleep(options.interval_seconds)


@dataclasses.dataclass(frozen=True)
class _Run:
    """One run: first erases what has expired in all collections, then does the longer steps."""

    options: MaintenanceOptions
    connection: Connection
    indexes: IndexBuilder
    sketches: SketchBuilder

    async def maintain(self) -> None:
        """Maintain all collections. Raises CollectionsFailed after everything else is done."""
        rows = await self._session().rows("list_collections")
        collection_ids = [row["collection_id"] for row in rows]
        failed = {
            collection_id
            for step in (self.erase, self.keep)
            for collection_id in await self._run_step(collection_ids, step)
        }
        await delete_old_operations(self.connection, self.options.request_retention_days)
        await self._delete_old_audit_events()
        if failed:
            raise CollectionsFailed(
                f"collections that could not be maintained: {len(failed)}; the log says which and why"
            )

    async def erase(self, collection_id: str) -> bool:
        """Erase expired faces and data about erased persons; always True: nothing is postponed."""
        faces, persons = await erase_expired(self.connection, collection_id)
        if faces:
            log.info("expired_faces_erased", collection=collection_id, faces=faces, persons=persons)
        for name in ("delete_stale_dismissals", "delete_stale_tries"):
            await self._session(collection_id).execute(name)
        await delete_old_requests(self.connection, collection_id, self.options.request_retention_days)
        return True

    async def keep(self, collection_id: str) -> bool:
        """Scrub and vacuum first, so that they need not wait for a build, then update index and sketches.

        Returns False if something was postponed to a later run.
        """
        scrubbed = not self.options.scrub or await scrub(
            self.connection, self.indexes, self.sketches, collection_id
        )
        vacuumed = await vacuum(self.connection, collection_id)
        indexed = await self.indexes.update(collection_id)
        await self.sketches.update(collection_id)
        return scrubbed and vacuumed and indexed

    def _session(self, collection_id: str = "") -> Session:
        return Session(self.connection, collection_id, role="maintenance")

    async def _delete_old_audit_events(self) -> None:
        """Delete audit events beyond their retention."""
        options = self.options
        try:
            deleted = await delete_old_audit_events(
                self.connection, options.audit_retention_days, options.decision_retention_days
            )
        except SERVER_ERRORS:
            await self._record_step("audit", failed=1)
            raise
        await self._record_step("audit")
        if deleted:
            log.info("audit_events_deleted", events=deleted)

    async def _record_step(self, step: str, *, failed: int = 0, waiting: int = 0) -> None:
        """Store the result of a step, for the matchers' metrics."""
        await self._session().execute("record_step", step=step, failed=failed, waiting=waiting)

    async def _run_step(
        self, collection_ids: Sequence[str], step: Callable[[str], Awaitable[bool]]
    ) -> list[str]:
        """Run a step in every collection; returns those where it failed."""
        failed = []
        waiting = 0
        for collection_id in collection_ids:
            try:
                waiting += not await step(collection_id)
            except (*SERVER_ERRORS, MatcherError) as error:
                why = type(error).__name__
                # A query, so that an unreachable database ends the run.
                if not await self._session(collection_id).value("has_collection"):
                    log.info("collection_disappeared", collection=collection_id)  # erased meanwhile
                elif isinstance(error, LOCK_ERRORS):
                    waiting += 1
                    log.warning("collection_skipped", collection=collection_id, why=why)
                else:
                    failed.append(collection_id)
                    sqlstate = getattr(error, "sqlstate", "")
                    log.error(
                        "collection_failed",
                        collection=collection_id,
                        step=step.__name__,
                        why=why,
                        sqlstate=sqlstate,
                    )
        await self._record_step(step.__name__, failed=len(failed), waiting=waiting)
        return failed
