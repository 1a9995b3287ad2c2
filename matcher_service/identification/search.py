"""Searching a collection: by its index where the result is accepted, and by an exact scan where it is not."""

import dataclasses

from matcher_service import metrics
from matcher_service.domain.faces import SearchMode
from matcher_service.identification.exact_scan import ExactScanner, run_query
from matcher_service.identification.query import Query, QueryResult, SearchResult
from matcher_service.postgres.database import Database
from matcher_service.postgres.driver_errors import retried_on_schema_change

# A query with a quarter of the probes finds 19 of 20 of those whom all of them find. What it misses may be
# nearer than what it found, so its result is accepted only where hardly any impostor is: among a million
# faces no unenrolled probe of 1,000 was within 0.40, and 0.85 of the default acceptance threshold is 0.38.
REDUCED_PROBES = 0.25
REDUCED_ACCEPTANCE = 0.85


class Search:
    """Finds the people near a face.

    The first statement asks the collection's index, or scans a collection of at most
    `scan_apart_above_faces` outright. An index result is accepted when its nearest candidate is within the
    collection's acceptance threshold (`trust_distance`): first of a reduced-probe query and for a candidate
    nearer still, as most enrolled people's are, then of one with all probes. For anything else an exact scan
    decides, in a pool of its own and behind an admission limit, since it takes a hundred times as long.

    A query without scores must not tell a distance by its time: which statements it takes depends on who is
    within the threshold alone. It asks the index once, with all probes, and accepts what is found wherever
    somebody is within the threshold, unless all whom the index proposed are: then there may be more.
    """

    def __init__(self, database: Database, scanner: ExactScanner, *, scan_apart_above_faces: int) -> None:
        self._database = database
        self._scanner = scanner
        self._scan_apart_above_faces = scan_apart_above_faces

    async def decide(self, query: Query) -> SearchResult:
        """Find who is near, as Identify means it.

        Raises CollectionNotFound, StoreUnavailable, and Overloaded where too many search at once.
        """
        found = await self._decide(query)
        metrics.SEARCHES.labels(found.mode.value).inc()
        return found

    async def _decide(self, query: Query) -> SearchResult:
        if query.scores:
            first = await self._query_index(query)
            accepted = first.decided
        else:
            first = await self._query(query)
            accepted = first.search == "scan" or (first.found.matched_persons > 0 and not first.truncated)
        if accepted or first.search == "none":
            return first.found
        mode = SearchMode.INDEX_CONFIRMED if first.search == "index" else SearchMode.EXACT
        return dataclasses.replace((await self._scanner.scan(query)).found, mode=mode)

    async def _query_index(self, query: Query) -> QueryResult:
        """Ask with reduced probes, and with all of them where that result is not accepted."""
        first = await self._query(query, probes_share=REDUCED_PROBES, acceptance_share=REDUCED_ACCEPTANCE)
        if not first.decided and first.search == "index":
            # Most probes that come here are of nobody enrolled: where their scan is refused, so is the
            # costlier query.
            self._scanner.check_capacity()
            first = await self._query(query)
        return first

    async def search_index(self, query: Query) -> SearchResult:
        """Find who is near, accepting any index result where there is an index. Raises as `decide`.

        Without scores it is not accepted where all whom the index proposed are within the threshold: it would
        reveal who of more than these are the nearest.
        """
        first = await self._query(query)
        truncated = not query.scores and first.truncated
        return (
            (await self._scanner.scan(query)).found if truncated or first.search == "later" else first.found
        )

    async def compare(self, query: Query) -> tuple[SearchResult, SearchResult, bool]:
        """What the index finds with all probes, which index result `decide` goes by, and whether it would
        scan instead.

        Raises as `decide`.
        """
        reduced = await self._query(query, probes_share=REDUCED_PROBES, acceptance_share=REDUCED_ACCEPTANCE)
        whole = await self._query(query)
        used = reduced if reduced.decided else whole
        return whole.found, used.found, not used.decided

    @retried_on_schema_change
    async def _query(
        self, query: Query, *, probes_share: float = 1.0, acceptance_share: float = 1.0
    ) -> QueryResult:
        async with self._database.search_session(query.collection_id) as session:
            return await run_query(
                session,
                query,
                exact_only=query.exact_only,
                scan_up_to=self._scan_apart_above_faces,
                probes_share=probes_share,
                acceptance_share=acceptance_share,
            )
