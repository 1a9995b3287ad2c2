"""Whether calls can be answered: checks the database regularly over a separate connection."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from matcher_service import metrics
from matcher_service.domain.errors import MatcherError
from matcher_service.postgres.connections.address import why_failed
from matcher_service.postgres.database import Database

SUMMARY_SECONDS = 10.0  # between two readings of the state of maintenance, each of one row per collection

log = structlog.get_logger(__name__)


class Readiness:
    """Checks the database every `interval_seconds` and announces whether it can be used.

    A check takes no permit and no connection from calls, so a matcher whose connections are all in use stays
    ready. So does one that can read from a standby while nobody reaches the primary: it answers reads with
    enough `max_staleness` and refuses all else. `checked` is set after the first check, whatever its result.
    """

    def __init__(
        self, database: Database, announce: Callable[[bool], Awaitable[None]], *, interval_seconds: float
    ) -> None:
        self._database = database
        self._announce = announce
        self._interval_seconds = interval_seconds
        self._logged: tuple[str, bool] | None = None
        self._summary_due = 0.0
        self._task: asyncio.Task[None] | None = None
        self.checked = asyncio.Event()

    def start(self) -> None:
        """Start checking."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop checking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            problem, reads = await self._find_problem()
            metrics.DATABASE_READY.set(not problem)
            await self._announce(not problem or reads)
            self._log(problem, reads=reads)
            self.checked.set()
            if not problem and time.monotonic() >= self._summary_due:
                await self._read_maintenance()
                self._summary_due = time.monotonic() + SUMMARY_SECONDS
            await asyncio.sleep(self._interval_seconds)

    async def _find_problem(self) -> tuple[str, bool]:
        """Return why the database cannot be used, or "" if it can; and whether standbys can be read from
        although the primary is lost.
        """
        try:
            return await self._database.check(), False
        except MatcherError as error:
            reads = await self._database.can_read_without_primary()
            return f"{error.message} ({why_failed(error.__cause__ or error)})", reads
        except Exception as error:  # the next check may succeed
            return f"the schema could not be read ({type(error).__name__})", False

    async def _read_maintenance(self) -> None:
        """Read the state of maintenance for the metrics; a failure does not affect readiness."""
        try:
            metrics.MAINTENANCE.update(*await self._database.maintenance_summary())
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
