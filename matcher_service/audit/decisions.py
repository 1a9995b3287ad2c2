"""Audit events of decisions, written in batches so that a decision does not wait for the disk.

A process that is killed loses the events of at most the last second. A regular stop writes them. Without the
database they wait in memory, and each is logged: a process that ends meanwhile loses none without a trace.
"""

import asyncio
import collections
import dataclasses
import datetime

import structlog

from facerec.serving.middleware import call
from matcher_service import metrics
from matcher_service.audit.changes import Action
from matcher_service.domain.errors import CollectionNotFound, MatcherError, StoreUnavailable
from matcher_service.postgres.database import Database
from matcher_service.postgres.driver_errors import RETRY_UNAVAILABLE_SECONDS, retried_on_schema_change

WRITE_SECONDS = 0.5
BATCH = 2000
MAX_WAITING = 200_000  # about 50 MB; when there are more, the oldest are dropped
MAX_WAITING_BOUNDED = MAX_WAITING // 2  # then reads that need no primary are refused
DROPPED_AT_ONCE = 100  # or half of a collection's: finding the longest queue costs time

log = structlog.get_logger(__name__)


@dataclasses.dataclass(slots=True)
class Decision:
    """One decision in a collection; `person_id` is the person concerned, or None. `reported` is whether it
    was logged, as it could not be written.
    """

    time: datetime.datetime
    action: Action
    caller: str
    person_id: str | None
    match: bool
    reported: bool = False

    @property
    def outcome(self) -> str:
        """As the audit has it."""
        return "match" if self.match else "no_match"

    def to_log(self) -> dict[str, str]:
        """What a log may have: all but the person."""
        return {
            "time": self.time.isoformat(),
            "action": self.action.value,
            "caller": self.caller,
            "outcome": self.outcome,
        }


class DecisionLog:
    """Queues decisions and writes them in batches. Does nothing unless `enabled`.

    Each collection has a queue. A collection whose decisions cannot be written, because its table is locked,
    is retried by a second writer, so that it does not delay the others.
    """

    def __init__(self, database: Database, *, enabled: bool) -> None:
        self._database = database
        self._enabled = enabled
        self._queues: dict[str, collections.deque[Decision]] = {}
        self._waiting = 0  # in all queues
        self._stuck: set[str] = set()  # collections that the second writer retries
        self._writers: list[asyncio.Task[None]] = []
        self._dropping = False

    def check_room(self) -> None:
        """Raises StoreUnavailable if so many events wait that a further one might be dropped: for decisions
        that are made without the database that their events go to.
        """
        if self._waiting > MAX_WAITING_BOUNDED:
            raise StoreUnavailable(
                "too many audit events wait for the database; retry later",
                retry_after_seconds=RETRY_UNAVAILABLE_SECONDS,
            )

    def add(self, collection_id: str, action: Action, person_id: str | None, *, match: bool) -> None:
        """Queue a decision's event."""
        if not self._enabled:
            return
        queue = self._queues.get(collection_id)
        if queue is None:
            queue = self._queues[collection_id] = collections.deque()
        now = datetime.datetime.now(datetime.UTC)
        queue.append(Decision(now, action, call.caller_name(), person_id, match))
        self._waiting += 1
        if self._waiting > MAX_WAITING:
            self._drop_oldest()

    def start(self) -> None:
        """Start the writers."""
        self._writers = [asyncio.create_task(self._keep_writing(stuck=stuck)) for stuck in (False, True)]

    async def stop(self) -> None:
        """Write what is queued, if the database can be reached, and stop."""
        for writer in self._writers:
            writer.cancel()
        await asyncio.gather(*self._writers, return_exceptions=True)
        await asyncio.gather(self._write_all(), self._write_all(stuck=True))
        if self._waiting:
            metrics.DECISIONS_DROPPED.inc(self._waiting)
            log.error("decisions_dropped", waiting=self._waiting)

    def _drop_oldest(self) -> None:
        """Drop the oldest decisions of the collection with the longest queue."""
        queue = max(self._queues.values(), key=len)
        count = min(DROPPED_AT_ONCE, (len(queue) + 1) // 2)
        for _ in range(count):
            queue.popleft()
        self._waiting -= count
        metrics.DECISIONS_DROPPED.inc(count)
        if not self._dropping:
            self._dropping = True
            log.error("decisions_dropped", waiting=MAX_WAITING)

    async def _keep_writing(self, *, stuck: bool) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._write_all(stuck=stuck)

    async def _write_all(self, *, stuck: bool = False) -> None:
        """Write the queues of the stuck collections, or of all others."""
        for collection_id in [each for each in self._queues if (each in self._stuck) == stuck]:
            try:
                await self._write_queue(collection_id)
            except Exception as error:  # they stay queued for the next try
                if not isinstance(error, MatcherError):
                    log.error("decisions_write_failed", why=type(error).__name__)
                self._stuck.add(collection_id)
                self._queues[collection_id] = self._queues.pop(collection_id)  # retried after all others
                if isinstance(error, StoreUnavailable):
                    self._report_waiting()
                    return  # others most likely fail, too

    def _report_waiting(self) -> None:
        """Log what waits for the database, each event once and without the person."""
        for collection_id, queue in self._queues.items():
            for each in queue:
                if not each.reported:
                    each.reported = True
                    log.warning("decision_not_written", collection=collection_id, **each.to_log())

    async def _write_queue(self, collection_id: str) -> None:
        """Write a collection's queue; what cannot be written stays queued, in order."""
        queue = self._queues[collection_id]
        while queue:
            batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
            self._waiting -= len(batch)
            try:
                await self._write(collection_id, batch)
            except CollectionNotFound:
                pass  # erased meanwhile, with its decisions
            except BaseException:
                queue.extendleft(reversed(batch))
                self._waiting += len(batch)
                raise
        del self._queues[collection_id]
        self._stuck.discard(collection_id)
        if self._waiting <= MAX_WAITING // 2:
            self._dropping = False

    @retried_on_schema_change
    async def _write(self, collection_id: str, decisions: list[Decision]) -> None:
        # Not a short request: no caller waits for it, so exact scans need not yield to it.
        async with self._database.search_session(collection_id) as session:
            await session.execute(
                "add_decisions",
                event_times=[each.time for each in decisions],
                actions=[each.action.value for each in decisions],
                callers=[each.caller for each in decisions],
                person_ids=[each.person_id for each in decisions],
                outcomes=[each.outcome for each in decisions],
            )
        metrics.DECISIONS_WRITTEN.inc(len(decisions))
