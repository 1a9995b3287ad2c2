"""Decisions: put on record in batches, so that a decision waits for no disk.

What was not yet written is lost when the process is killed: a second's worth at most. A stop writes it.
"""

import asyncio
import collections
import dataclasses
import datetime

import structlog

from facerec.serving import call
from matcher_service import metrics
from matcher_service.audit.changes import Action
from matcher_service.database import Database
from matcher_service.errors import CollectionNotFound, MatcherError
from matcher_service.queries import of_collection

WRITE_SECONDS = 0.5
BATCH = 2000
MOST_WAITING = 200_000  # some 50 MB; with the database away for longer than these take, the oldest go

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """One decision; `person_id` is whom it is about, None for nobody."""

    time: datetime.datetime
    collection_id: str
    action: Action
    caller: str
    person_id: str | None
    match: bool


class DecisionLog:
    """Takes decisions at once and writes them by and by. Without `enabled` it takes none."""

    def __init__(self, database: Database, *, enabled: bool) -> None:
        self._database = database
        self._enabled = enabled
        self._waiting: collections.deque[Decision] = collections.deque()
        self._writer: asyncio.Task[None] | None = None
        self._dropping = False

    def add(self, collection_id: str, action: Action, person_id: str | None, *, match: bool) -> None:
        """Put a decision on record, soon."""
        if not self._enabled:
            return
        now = datetime.datetime.now(datetime.UTC)
        self._waiting.append(Decision(now, collection_id, action, call.caller_name(), person_id, match))
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            metrics.DECISIONS_DROPPED.inc()
            if not self._dropping:
                self._dropping = True
                log.error("decisions_dropped", waiting=MOST_WAITING)

    def start(self) -> None:
        """Begin to write."""
        self._writer = asyncio.create_task(self._keep_writing())

    async def stop(self) -> None:
        """Write what waits, if the database can be reached, and end."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        await self._write_all()
        if self._waiting:
            metrics.DECISIONS_DROPPED.inc(len(self._waiting))
            log.error("decisions_dropped", waiting=len(self._waiting))

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._write_all()

    async def _write_all(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._write(batch)
            except Exception as error:  # whatever it is: they wait for the next try
                if not isinstance(error, MatcherError):
                    log.error("decisions_not_written", why=type(error).__name__)
                return
            self._dropping = False

    async def _write(self, batch: list[Decision]) -> None:
        """Write a batch, a collection at a time; what could not be written waits on, in its order."""
        by_collection: dict[str, list[Decision]] = {}
        for decision in batch:
            by_collection.setdefault(decision.collection_id, []).append(decision)
        for collection_id in list(by_collection):
            try:
                await self._write_one(collection_id, by_collection[collection_id])
            except CollectionNotFound:
                pass  # erased meanwhile, and what was decided there with it
            except BaseException:
                left = [decision for decision in batch if decision.collection_id in by_collection]
                self._waiting.extendleft(reversed(left))
                raise
            del by_collection[collection_id]

    async def _write_one(self, collection_id: str, decisions: list[Decision]) -> None:
        # Not among the calls of moments: nobody waits for it, and exact scans need not step aside.
        async with self._database.search_connection() as connection:
            await connection.execute(
                of_collection(collection_id)["add_decisions"],
                collection_id,
                [each.time for each in decisions],
                [each.action.value for each in decisions],
                [each.caller for each in decisions],
                [each.person_id for each in decisions],
                ["match" if each.match else "no_match" for each in decisions],
            )
        metrics.DECISIONS_WRITTEN.inc(len(decisions))
