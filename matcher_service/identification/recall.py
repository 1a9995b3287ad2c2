"""Compares searches by a collection's index with exact ones, on samples drawn from its own people."""

import dataclasses
import itertools
import time
from collections.abc import Sequence

from facerec.serving.middleware import call
from matcher_service.domain.concurrency import gather_or_cancel
from matcher_service.domain.faces import Encoding
from matcher_service.identification.exact_scan import ExactScanner
from matcher_service.identification.query import Query, SearchResult
from matcher_service.identification.recall_sampling import draw_recall_samples
from matcher_service.identification.search import Search
from matcher_service.operations.recording import Record, record_nothing
from matcher_service.postgres.database import Database
from matcher_service.postgres.driver_errors import retried_on_schema_change

MIN_SAMPLES, DEFAULT_SAMPLES, MAX_SAMPLES = 20, 200, 1000
LONGEST_SECONDS = 600.0
SCANNED_TOGETHER = 8  # half of the probes that share a scan: the others are left to other callers' searches
TIME_SHARE = 0.8  # of the caller's deadline; the rest is for the response


@dataclasses.dataclass(frozen=True)
class Recall:
    """Counts of searches.

    `by_scan` are those for which an exact scan finds a person, `by_index` those of them for which the index
    alone finds the same; `far_by_scan` and `far_by_index` are the same for samples made of faces far from
    their person's centers. `agreed` had the result of an exact scan, `confirmed` needed one.
    """

    indexed: bool
    samples: int = 0
    by_scan: int = 0
    by_index: int = 0
    far_by_scan: int = 0
    far_by_index: int = 0
    agreed: int = 0
    confirmed: int = 0


@dataclasses.dataclass(frozen=True)
class Sample:
    """A search to compare; `far` if its probe is made of a face far from its person's centers."""

    query: Query
    far: bool


class RecallMeter:
    """Searches twice for each sample: as Identify does, and exactly, on the connections of such searches."""

    def __init__(self, database: Database, search: Search, scanner: ExactScanner) -> None:
        self._database = database
        self._search = search
        self._scanner = scanner

    async def measure(
        self,
        collection_id: str,
        samples: int,
        *,
        max_staleness: float | None = None,
        record: Record[Recall] = record_nothing,
    ) -> Recall:
        """Compare up to `samples` searches, fewer if the caller's time is up or there are few people.

        Half of the samples are made of faces far from their person's centers. `max_staleness` is as in
        `Database.index_session`. `record` is awaited with the result, in a transaction of its own if there is
        one. Raises CollectionNotFound, StoreUnavailable, Overloaded.
        """
        recall = await self._measure(collection_id, samples, max_staleness)
        if record is not record_nothing:
            async with self._database.transaction(collection_id) as session:
                await record(session, recall)
        return recall

    @retried_on_schema_change
    async def _measure(self, collection_id: str, samples: int, max_staleness: float | None) -> Recall:
        ends = time.monotonic() + TIME_SHARE * call.remaining_seconds(LONGEST_SECONDS)
        async with self._database.scan_session(collection_id, max_staleness=max_staleness) as session:
            row = await session.required_row("get_collection")
            if row["exact_only"] or row["lists_read"] is None:
                return Recall(indexed=False)
            drawn = [
                await draw_recall_samples(session, count, far=far)
                for far, count in ((False, samples - samples // 2), (True, samples // 2))
            ]
        pairs = itertools.zip_longest(*(each.vectors for each in drawn))
        samples_left = iter(
            Sample(
                Query(
                    collection_id, Encoding(vector, row["space"], ""), None, 1, max_staleness=max_staleness
                ),
                far=bool(far),
            )
            for pair in pairs
            for far, vector in enumerate(pair)
            if vector is not None
        )
        total = Recall(indexed=True)
        while time.monotonic() <= ends and (some := list(itertools.islice(samples_left, SCANNED_TOGETHER))):
            for sample, exact in zip(some, await self._scan(some), strict=True):
                total = await self._compare(sample, exact, total)
        return total

    async def _scan(self, samples: Sequence[Sample]) -> list[SearchResult]:
        """Search for several exactly, in scans that they share."""
        scans = (self._scanner.scan(sample.query) for sample in samples)
        results = await gather_or_cancel(scans, limit=SCANNED_TOGETHER)
        return [result.found for result in results]

    async def _compare(self, sample: Sample, exact: SearchResult, total: Recall) -> Recall:
        """Search by index, and count how that compares with an exact search."""
        far = sample.far
        index, identify, confirmed = await self._search.compare(sample.query)
        by_scan = bool(exact.candidates)
        by_index = by_scan and _same(index, exact)
        return Recall(
            indexed=True,
            samples=total.samples + 1,
            by_scan=total.by_scan + (by_scan and not far),
            by_index=total.by_index + (by_index and not far),
            far_by_scan=total.far_by_scan + (by_scan and far),
            far_by_index=total.far_by_index + (by_index and far),
            # A confirmed answer is the exact scan's.
            agreed=total.agreed + (confirmed or _same(identify, exact)),
            confirmed=total.confirmed + confirmed,
        )


def _same(a: SearchResult, b: SearchResult) -> bool:
    """Whether two searches found the same nearest person, or two equally near."""
    return [each.distance for each in a.candidates[:1]] == [each.distance for each in b.candidates[:1]]
