"""Whether calls can be answered: checks the database regularly over a separate connection."""

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from matcher_service import metrics
from matcher_service.domain.errors import MatcherError
from matcher_service.domain.status import DatabaseStatus, MaintenanceStatus, MaintenanceStep
from matcher_service.postgres import migrations
from matcher_service.postgres.connections.address import why_failed
from matcher_service.postgres.database import Database

LOGIN_REFUSED = "the database refuses the matcher's login"
SUMMARY_SECONDS = 10.0  # between two readings of the state of maintenance, each of one row per collection

log = structlog.get_logger(__name__)


class Readiness:
    """Checks the database every `interval_seconds` and announces whether it can be used.

    A check takes no permit and no connection from calls, so a matcher whose connections are all in use stays
    ready. So does one that can read from a standby while nobody reaches the primary: it answers reads with
    enough `max_staleness` and refuses all else. `checked` is set after the first check, whatever its result.
    `serving` is what was announced last, and `maintenance` its state when it was last read, if ever.
    """

    def __init__(
        self, database: Database, announce: Callable[[bool], Awaitable[None]], *, interval_seconds: float
    ) -> None:
        self._database = database
        self._announce = announce
        self._interval_seconds = interval_seconds
        self._logged: tuple[str, bool] | None = None
        self._reported = ""
        self._check_time: datetime.datetime | None = None
        self.serving = False
        self.maintenance: MaintenanceStatus | None = None
        self._summary_due = 0.0
        self._task: asyncio.Task[None] | None = None
        self.checked = asyncio.Event()

    def start(self) -> None:
        """Start checking."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop checking."""
        self.serving = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._reported, problem, reads = await self._find_problem()
            metrics.DATABASE_READY.set(not problem)
            self._check_time = datetime.datetime.now(datetime.UTC)
            self.serving = not problem or reads
            await self._announce(self.serving)
            self._log(problem, reads=reads)
            self.checked.set()
            if not problem and time.monotonic() >= self._summary_due:
                await self._read_maintenance()
                self._summary_due = time.monotonic() + SUMMARY_SECONDS
            await asyncio.sleep(self._interval_seconds)

    def database_status(self) -> DatabaseStatus:
        """The database as it was last checked, without what only the log tells of a failure."""
        return DatabaseStatus(
            ready=self._check_time is not None and not self._reported,
            problem=self._reported or self._database.refusal,
            check_time=self._check_time,
            schema_version=self._database.schema_version,
            release_schema_version=migrations.head(),
        )

    async def _find_problem(self) -> tuple[str, str, bool]:
        """Return why the database cannot be used, or "" if it can, first in words for callers, who learn no
        address and no login, then for the log; and whether standbys can be read from although the primary is
        lost.
        """
        try:
            problem = await self._database.check()
        except MatcherError as error:
            reads = await self._database.can_read_without_primary()
            return error.message, f"{error.message} ({why_failed(error.__cause__ or error)})", reads
        except Exception as error:  # the next check may succeed
            problem = f"the schema could not be read ({type(error).__name__})"
            return problem, problem, False
        reported = LOGIN_REFUSED if problem and problem != self._database.refusal else problem
        return reported, problem, False

    async def _read_maintenance(self) -> None:
        """Read the state of maintenance for the metrics; a failure does not affect readiness."""
        try:
            left, steps = await self._database.maintenance_summary()
            metrics.MAINTENANCE.update(left, steps)
            self.maintenance = _maintenance(left, steps)
        except Exception as error:
            log.warning("maintenance_summary_read_failed", why=type(error).__name__)

    def _log(self, problem: str, *, reads: bool) -> None:
        """Log a change, once."""
        if (problem, reads) != self._logged:
            self._logged = problem, reads
            if problem:
                log.warning("database_check_failed", why=problem, serving_stale_reads=reads)
            else:
                log.info("database_ready")


def _maintenance(left: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> MaintenanceStatus:
    """The rows of `maintenance_left` and `maintenance_steps`, read now."""
    return MaintenanceStatus(
        read_time=datetime.datetime.now(datetime.UTC),
        steps=[
            MaintenanceStep(row["step"], _time(row["success_time"]), row["failures"], row["waiting"])
            for row in sorted(steps, key=lambda row: str(row["step"]))
        ],
        unvacuumed_erasures=left["unvacuumed"],
        oldest_erasure_time=_time(left["pending_since"]),
        unscrubbed_erasures=left["unscrubbed"],
    )


def _time(seconds: float | None) -> datetime.datetime | None:
    """A time in seconds since 1970."""
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC)
