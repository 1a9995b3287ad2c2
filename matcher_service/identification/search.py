"""Searches a collection by its index, and by an exact scan if the index result is not accepted."""

import dataclasses
from collections.abc import Sequence

from matcher_service import metrics
from matcher_service.domain.attributes import PersonFilter
from matcher_service.domain.faces import SearchMode
from matcher_service.identification.exact_scan import ExactScanner
from matcher_service.identification.query import (
    Query,
    QueryResult,
    SearchResult,
    candidates,
    face_values,
    query_result,
)
from matcher_service.persons.selecting import select_persons
from matcher_service.postgres.database import Database
from matcher_service.postgres.driver_errors import retried_on_schema_change

# How many of the lists that were chosen for an index the first query reads (pgvector calls them probes). With
# a quarter of them a query finds 19 of 20 persons whom a query with all of them finds. It may miss
# a nearer person, so its result is accepted only at distances where impostors are very rare: among a million
# faces none of 1,000 unenrolled probes had one within 0.40, and 0.85 of the default acceptance threshold is
# 0.38.
REDUCED_LISTS = 0.25
REDUCED_ACCEPTANCE = 0.85

# If a filter selects so many people or fewer, their faces are looked up person by person. Otherwise the whole
# collection is searched, and only hits of the selected people count (docs/decisions/0024-filters.md).
MAX_LOOKED_UP = 2000

SEARCHES_IN_FLIGHT = 8  # of one call: half of the probes that share a scan


class Search:
    """Finds the people near a face.

    The first statement queries the collection's index, or scans a collection of at most
    `scan_apart_above_faces` faces. An index result is accepted when its nearest candidate is within the
    collection's `acceptance_threshold`: first by a query of a quarter of its lists with a
    stricter threshold, which most enrolled people pass, then by one of all chosen lists. Otherwise an exact
    scan decides, in a pool of its own and behind an admission limit, since it takes a hundred times as long.

    A query without scores must not reveal a distance by its duration: the statements it runs depend only on
    who is within the threshold. It queries the index once, with all chosen lists, and accepts the result if
    somebody is within the threshold, unless it is truncated: with 50 persons of both indexes together within
    the threshold, or 10 faces that are centers, there may be more.

    Of a filter the selected people are counted first, up to a limit (`narrow`): few of them are all compared,
    and among more the search is the same, with the others dropped before any result is accepted. So are
    suspended people, whom a query without `with_suspended` does not find.
    """

    def __init__(self, database: Database, scanner: ExactScanner, *, scan_apart_above_faces: int) -> None:
        self._database = database
        self._scanner = scanner
        self._scan_apart_above_faces = scan_apart_above_faces

    @retried_on_schema_change
    async def narrow(
        self,
        collection_id: str,
        chosen: PersonFilter,
        *,
        max_staleness: float | None = None,
        with_suspended: bool = False,
    ) -> tuple[list[int] | None, str | None]:
        """The keys of the people whom a filter selects, or if its labels select more than MAX_LOOKED_UP None
        and their path: the `person_keys` and `labels_path` of a query. Suspended people are left out, unless
        `with_suspended`. `max_staleness` is as in `Database.index_session`.

        Raises StoreUnavailable, Overloaded, CollectionNotFound.
        """
        if not chosen:
            return None, None
        if not all(chosen.labels.values()):  # none of the values asked for may be found by the caller
            return [], None
        async with self._database.index_session(collection_id, max_staleness=max_staleness) as session:
            state = None if with_suspended else False
            conditions = dataclasses.replace(chosen, suspended=state).conditions
            keys = await select_persons(session, conditions, MAX_LOOKED_UP)
        return (None, chosen.path) if keys is None else (keys, None)

    async def decide(self, query: Query) -> SearchResult:
        """Find the candidates of Identify.

        Raises CollectionNotFound, StoreUnavailable, and Overloaded if there are too many concurrent searches.
        """
        found = await self._decide(query)
        metrics.SEARCHES.labels(found.mode.value).inc()
        return found

    async def _decide(self, query: Query) -> SearchResult:
        if query.person_keys is not None:
            return await self._search_among(query, query.person_keys)
        if query.scores:
            first = await self._query_index(query)
            accepted = first.accepted
        else:
            first = await self._query(query)
            accepted = first.search == "scan" or (first.found.matched_persons > 0 and not first.truncated)
        if accepted or first.search == "none":
            return first.found
        mode = SearchMode.INDEX_CONFIRMED if first.search == "index" else SearchMode.EXACT
        return dataclasses.replace((await self._scanner.scan(query)).found, mode=mode)

    async def _query_index(self, query: Query) -> QueryResult:
        """Query with a share of the lists, and with all of them if that result is not accepted."""
        first = await self._query(query, lists_share=REDUCED_LISTS, acceptance_share=REDUCED_ACCEPTANCE)
        if not first.accepted and first.search == "index":
            # Most probes that get here are of unenrolled people and need a scan: if that would be refused,
            # the query is not worth its cost.
            self._scanner.check_capacity(query)
            first = await self._query(query)
        return first

    async def search_exactly(self, query: Query) -> SearchResult:
        """Find the candidates by comparing every face. Raises as `decide`."""
        first = await self._query(dataclasses.replace(query, exact_only=True))
        return (await self._scanner.scan(query)).found if first.search == "scan_needed" else first.found

    async def search_index(self, query: Query) -> SearchResult:
        """Find the candidates, accepting any index result. Raises as `decide`.

        Without scores a truncated result is not accepted: it would reveal which of more persons are the
        nearest.
        """
        first = await self._query(query)
        if first.search == "scan_needed" or (first.truncated and not query.scores):
            return (await self._scanner.scan(query)).found
        return first.found

    async def compare(self, query: Query) -> tuple[SearchResult, SearchResult, bool]:
        """The index result with all chosen lists, the index result that `decide` uses, and whether it would
        scan instead.

        Raises as `decide`.
        """
        reduced = await self._query(query, lists_share=REDUCED_LISTS, acceptance_share=REDUCED_ACCEPTANCE)
        whole = await self._query(query)
        used = reduced if reduced.accepted else whole
        return whole.found, used.found, not used.accepted

    @retried_on_schema_change
    async def _search_among(self, query: Query, person_keys: Sequence[int]) -> SearchResult:
        """Compare every face of some people."""
        lent = self._database.index_session(query.collection_id, max_staleness=query.max_staleness)
        async with lent as session:
            rows = await session.required_rows(
                "identify_among",
                **face_values(query.face),
                person_keys=person_keys,
                max_distance=query.max_distance,
                max_rows=query.max_rows,
                space=query.space,
                by_id=not query.scores,
            )
        return query_result(rows[0], candidates([row for row in rows if row["person_id"] is not None])).found

    @retried_on_schema_change
    async def _query(
        self, query: Query, *, lists_share: float = 1.0, acceptance_share: float = 1.0
    ) -> QueryResult:
        """Query the index with shares of its lists and acceptance threshold, or scan a small collection."""
        lent = self._database.index_session(query.collection_id, max_staleness=query.max_staleness)
        async with lent as session:
            rows = await session.required_rows(
                "identify",
                **face_values(query.face),
                max_distance=query.max_distance,
                max_candidates=query.max_candidates,
                max_rows=query.max_rows,
                space=query.space,
                exact_only=query.exact_only,
                max_scanned_faces=self._scan_apart_above_faces,
                lists_share=lists_share,
                acceptance_share=acceptance_share,
                by_id=not query.scores,
                labels_path=query.labels_path,
                with_suspended=query.with_suspended,
                left_out_key=query.left_out_key,
            )
        return query_result(rows[0], candidates([row for row in rows if row["person_id"] is not None]))
