"""One run after another over all collections."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import structlog

from facerec.serving.server.errors import StartError
from matcher_service.domain.errors import MatcherError
from matcher_service.maintenance.expiry import delete_old_audit_events, delete_old_requests, erase_expired
from matcher_service.maintenance.indexes import IndexBuilder
from matcher_service.maintenance.scrubbing import scrub, vacuum
from matcher_service.postgres.connections.address import why_failed
from matcher_service.postgres.connections.owner import connect, try_maintenance_lock
from matcher_service.postgres.connections.url import DatabaseUrl
from matcher_service.postgres.driver_errors import CONNECTING_ERRORS, LOCK_ERRORS, SERVER_ERRORS
from matcher_service.postgres.session import Connection, Session

log = structlog.get_logger(__name__)


class CollectionsFailed(Exception):
    """Collections could not be maintained, of each of which the log has a line; all others were."""


@dataclasses.dataclass(frozen=True)
class MaintenanceOptions:
    """Where the database is and how it is maintained; memory is an index build's.

    `url_file` is where `url` was read from, if from a file. `scrub` writes the files of collections anew from
    which something was erased. Retention is in days, 0 for ever.
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
    """Maintain every collection once; False when another process is at it.

    Raises MaintenanceError, and CollectionsFailed after the run.
    """
    async with connect(options.url) as connection, connect(options.url) as watcher:
        if not await try_maintenance_lock(connection):
            return False
        builder = IndexBuilder(connection, watcher, options.index_memory_bytes, options.recall_check_seconds)
        await _Run(options, connection, builder).maintain()
        return True


async def run(options: MaintenanceOptions) -> None:
    """Maintain every collection again and again, waiting out a database that is away. Ends when cancelled.

    Raises MaintenanceError when the first look finds that it may not.
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
    """One run: what has expired goes in all collections before what takes long begins in one."""

    options: MaintenanceOptions
    connection: Connection
    builder: IndexBuilder

    async def maintain(self) -> None:
        """Maintain all of them. Raises CollectionsFailed once everything else is done."""
        rows = await self._session().rows("list_collections")
        collection_ids = [row["collection_id"] for row in rows]
        failed = {
            collection_id
            for step in (self.erase, self.keep)
            for collection_id in await self._run_step(collection_ids, step)
        }
        await self._delete_old_audit_events()
        if failed:
            raise CollectionsFailed(
                f"collections that could not be maintained: {len(failed)}; the log says which and why"
            )

    async def erase(self, collection_id: str) -> bool:
        """Erase what has expired, and what says something of who is erased; True, as nothing is left."""
        faces, persons = await erase_expired(self.connection, collection_id)
        if faces:
            log.info("expired_faces_erased", collection=collection_id, faces=faces, persons=persons)
        for name in ("delete_stale_dismissals", "delete_stale_tries"):
            await self._session(collection_id).execute(name)
        await delete_old_requests(self.connection, collection_id, self.options.request_retention_days)
        return True

    async def keep(self, collection_id: str) -> bool:
        """Remove what was erased from the files, and then keep the index: that waits for no build.

        Returns whether all is as it is to be, or False where something is left for a later run.
        """
        scrubbed = not self.options.scrub or await scrub(self.connection, self.builder, collection_id)
        vacuumed = await vacuum(self.connection, collection_id)
        indexed = await self.builder.update(collection_id)
        return scrubbed and vacuumed and indexed

    def _session(self, collection_id: str = "") -> Session:
        return Session(self.connection, collection_id, role="maintenance")

    async def _delete_old_audit_events(self) -> None:
        """Forget audit events of long ago."""
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
        """Store how a step ended, for the matchers' metrics."""
        await self._session().execute("record_step", step=step, failed=failed, waiting=waiting)

    async def _run_step(
        self, collection_ids: Sequence[str], step: Callable[[str], Awaitable[bool]]
    ) -> list[str]:
        """Take a step in every collection; returns those where it failed."""
        failed = []
        waiting = 0
        for collection_id in collection_ids:
            try:
                waiting += not await step(collection_id)
            except (*SERVER_ERRORS, MatcherError) as error:
                why = type(error).__name__
                # Asked of the database, so that one that is away ends the run.
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
