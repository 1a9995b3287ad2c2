"""Builds, rebuilds and drops a collection's pair of indexes."""

import asyncio
import contextlib
import dataclasses
import math
from collections.abc import AsyncIterator

import structlog

from matcher_service.maintenance.centers import mark_centers
from matcher_service.maintenance.lists_tuning import IndexRecall, ListsTuner
from matcher_service.postgres.connections.owner import lock_wait
from matcher_service.postgres.session import Connection, Row, Session
from matcher_service.postgres.statements import partition_name

PERSONS_PER_LIST = 100
MIN_LISTS = 16  # of the index over means; the index over centers may have a single list
FEW_CENTERS = 1000  # up to these, one list costs less than searching the means
REBUILD_GROWTH = 1.5  # lists fit the data at the build; grown by this factor, or shrunk by it, it is rebuilt
RECALL_GROWTH = 0.05  # net change of the number of people, as a share, after which recall is measured again
SHRINK = 0.5  # an index is dropped below this share of index_above_faces
PROGRESS_SECONDS = 1.0
# CREATE INDEX CONCURRENTLY ends by waiting for all older transactions; if it times out, the build is lost.
# Other calls do not queue behind that wait. The time is longer than an export; with an old transaction no
# build starts.
BUILD_WAIT_SECONDS = 3900.0
OLD_SECONDS = 60.0
# k-means needs about 4 bytes for each pair of a list and a sample, with 50 samples a list, and some more.
_BYTES_PER_LIST_SQUARED = 225

INDEXED = ("person", "face")  # the parents of the tables that get an index

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class IndexBuilder:
    """Builds indexes on one connection and watches builds on another. `memory_bytes` is for one build.

    Recall is measured at a build, every `recall_check_seconds`, and when the number of people has changed by
    more than RECALL_GROWTH.
    """

    connection: Connection
    watcher: Connection
    memory_bytes: int
    recall_check_seconds: float
    # Build and watch task share the watcher connection.
    _watcher_lock: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    async def update(self, collection_id: str) -> bool:
        """Make a collection's indexes match its size and policy; returns False if that was postponed."""
        row = await self._read_policy(collection_id)
        if row is not None and await self._is_lost(collection_id, row["index_name"]):
            log.warning("index_lost", collection=collection_id)
            await self.drop(collection_id)
            row = await self._read_policy(collection_id)
        if row is None:
            return True
        await self._drop_others(collection_id, row["index_name"])
        waits = False
        min_faces = row["index_above_faces"] * (1 if row["index_name"] is None else SHRINK)
        if row["exact_only"] or row["faces"] < min_faces or row["persons"] == 0:
            if row["index_name"] is not None:
                await self.drop(collection_id)
        elif await self._build_is_due(collection_id, row):
            waits = await self._has_to_wait(collection_id)
            if not waits:
                await self._build(collection_id, row)
        elif self._recall_is_due(row):
            await self._set_recall(collection_id, row, await self._measure(collection_id, row))
        return not waits

    async def _read_policy(self, collection_id: str) -> Row | None:
        return await self._session(collection_id).row("get_policy")

    async def _is_lost(self, collection_id: str, name: str | None) -> bool:
        """Whether the index in use is missing or invalid, as after a restore."""
        if name is None:
            return False
        valid = {row["name"] for row in await self._list(collection_id) if row["valid"]}
        return not valid.issuperset(_index_names(collection_id, name))

    async def _list(self, collection_id: str) -> list[Row]:
        """All indexes that exist, in use or not."""
        return await self._session(collection_id).rows("list_indexes", tables=_tables(collection_id))

    async def drop(self, collection_id: str) -> None:
        """Switch the collection to exact search, and drop its index."""
        await self._session(collection_id).execute("clear_index")
        await self._drop_others(collection_id, None)
        log.info("index_dropped", collection=collection_id)

    async def _build_is_due(self, collection_id: str, policy: Row) -> bool:
        if policy["index_name"] is None or not self._fits(policy["index_persons"], policy["persons"]):
            return True
        if not self._recall_is_due(policy):
            return False
        centers = await self._session(collection_id).value("count_centers")
        return bool(centers > REBUILD_GROWTH * max(policy["index_centers"], FEW_CENTERS))

    async def _has_to_wait(self, collection_id: str) -> bool:
        """Whether to postpone a build, as it would have to wait for a long transaction."""
        old = await self.count_old_transactions(collection_id, OLD_SECONDS)
        if old:
            log.info("index_build_postponed", collection=collection_id, transactions=old)
        return bool(old)

    async def count_old_transactions(self, collection_id: str, seconds: float) -> int:
        """Count the transactions older than `seconds` that keep dead rows and that a build would wait for."""
        tables = [partition_name(parent, collection_id) for parent in INDEXED]
        async with self._watcher_lock, self.watcher.transaction():
            await self.watcher.execute("SET LOCAL ROLE NONE")  # as in _watch
            watcher = self._session(collection_id, self.watcher)
            count: int = await watcher.value("count_old_transactions", tables=tables, min_seconds=seconds)
        return count

    def _recall_is_due(self, policy: Row) -> bool:
        measured = policy["recall_persons"] or 0
        moved = abs(policy["persons"] - measured) > RECALL_GROWTH * measured
        age = policy["recall_age_seconds"]
        return moved or age is None or age >= self.recall_check_seconds

    async def _measure(self, collection_id: str, policy: Row, name: str | None = None) -> IndexRecall:
        """Measure the recall of an index, and have more lists read if it misses the target.

        `name` is an index just built; by default the one in use.
        """
        if await mark_centers(self.connection, collection_id):
            log.info("centers_marked", collection=collection_id)
        lists = await self._session(collection_id).value(
            "count_lists", index_name=name or policy["index_name"]
        )
        tuner = ListsTuner(self.connection, collection_id, lists=lists, target_recall=policy["target_recall"])
        return await tuner.choose(None if name else policy["lists_read"])

    async def _set_recall(self, collection_id: str, policy: Row, recall: IndexRecall) -> None:
        """Have searches read as many lists of the index as were found, or no index where all are too few."""
        await self._session(collection_id).execute(
            "set_index_recall", persons=policy["persons"], **recall.columns
        )
        log.info("index_recall_measured", collection=collection_id, **recall.logged)
        if recall.lists_read is None:
            log.warning(
                "index_target_missed", collection=collection_id, target_recall=policy["target_recall"]
            )

    @staticmethod
    def _fits(built_persons: int, persons: int) -> bool:
        return built_persons / REBUILD_GROWTH <= persons <= built_persons * REBUILD_GROWTH

    async def _build(self, collection_id: str, policy: Row) -> None:
        """Build new indexes beside the old ones, if any, then drop those."""
        name = _next_name(collection_id, policy["index_name"])
        means, centers = _index_names(collection_id, name)
        async with self._watched(collection_id):
            await mark_centers(self.connection, collection_id)
            await self._session(collection_id).execute("analyze")
            await self._create(collection_id, "means", means, policy["persons"], MIN_LISTS)
            count = await self._session(collection_id).value("count_centers")
            await self._create(collection_id, "centers", centers, count, 1)
            await self._set_progress(collection_id, "measuring recall", 0.0)
            recall = await self._measure(collection_id, policy, name)
        async with self.connection.transaction():
            await self._session(collection_id).execute(
                "record_index", index_name=name, persons=policy["persons"], centers=count
            )
            await self._set_recall(collection_id, policy, recall)
        await self._drop_others(collection_id, name)
        log.info("index_built", collection=collection_id, centers=count, **recall.logged)

    async def _create(self, collection_id: str, over: str, name: str, rows: int, least: int) -> None:
        """Create an index of at least `least` lists, of about PERSONS_PER_LIST rows each."""
        max_lists = max(MIN_LISTS, math.isqrt(self.memory_bytes // _BYTES_PER_LIST_SQUARED))
        lists = min(max(least, rows // PERSONS_PER_LIST), max_lists)
        log.info("index_build_started", collection=collection_id, over=over, rows=rows, lists=lists)
        await self.connection.execute(f"SET maintenance_work_mem = '{self.memory_bytes // 1024}kB'")
        session = self._session(collection_id)
        async with lock_wait(self.connection, BUILD_WAIT_SECONDS):
            await session.execute_named(f"index_{over}", index=name, lists=str(lists))
        await session.execute_named("keep_index_from_statistics", index=name)

    async def _drop_others(self, collection_id: str, in_use: str | None) -> None:
        """Drop every index but the pair in use: older ones, and those of interrupted builds."""
        used = _index_names(collection_id, in_use) if in_use else ()
        for row in await self._list(collection_id):
            if row["name"] not in used:
                await self._session(collection_id).execute_named("drop_index", index=row["name"])

    @contextlib.asynccontextmanager
    async def _watched(self, collection_id: str) -> AsyncIterator[None]:
        """Report a build's progress in the table that GetCollection reads, and its phases in the log."""
        await self._set_progress(collection_id, "starting", 0.0)
        watch = asyncio.create_task(self._watch(collection_id))
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await self._session(collection_id, self.watcher).execute("end_progress")

    async def _watch(self, collection_id: str) -> None:
        tables, shown = _tables(collection_id), ""
        while True:
            async with self._watcher_lock, self.watcher.transaction():
                # Postgres shows the progress to the session's login, not to the role set.
                await self.watcher.execute("SET LOCAL ROLE NONE")
                row = await self._session(collection_id, self.watcher).row("get_progress", tables=tables)
            if row is not None:
                await self._set_progress(collection_id, row["phase"], row["done"])
                if row["phase"] != shown:
                    shown = row["phase"]
                    log.info("index_phase_changed", collection=collection_id, phase=shown)
            await asyncio.sleep(PROGRESS_SECONDS)

    async def _set_progress(self, collection_id: str, phase: str, done: float) -> None:
        async with self._watcher_lock:
            await self._session(collection_id, self.watcher).execute("put_progress", phase=phase, done=done)

    def _session(self, collection_id: str, connection: Connection | None = None) -> Session:
        return Session(connection or self.connection, collection_id, role="maintenance")


def _tables(collection_id: str) -> list[str]:
    return [f"facerec.{partition_name(parent, collection_id)}" for parent in INDEXED]


def _index_names(collection_id: str, name: str) -> tuple[str, str]:
    """The names of the index over means, which also identifies the pair, and of the index over centers."""
    number = name.rpartition("_")[2]
    return name, f"{partition_name('face', collection_id)}_near_{number}"


def _next_name(collection_id: str, old: str | None) -> str:
    """A name other than the old index's, which exists until the new one is in use."""
    number = int(old.rpartition("_")[2]) + 1 if old else 1
    return f"{partition_name('person', collection_id)}_near_{number}"
