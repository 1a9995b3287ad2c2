"""Searching a collection: by its index where its word stands, and by an exact scan where it does not."""

import dataclasses

from matcher_service import metrics
from matcher_service.domain.faces import SearchMode
from matcher_service.identification.exact_scan import Scanner, ask
from matcher_service.identification.query import Answer, Found, Query
from matcher_service.postgres.database import Database
from matcher_service.postgres.driver_errors import tried_anew

# A quick look finds 19 of 20 of those whom the whole effort finds. What it misses may be nearer than what it
# found, so its word is taken only where hardly any impostor is: among a million faces no stranger of 1,000
# was within 0.40, and 0.85 of the default trust distance is 0.38.
QUICK_EFFORT = 0.25
QUICK_TRUST = 0.85


class Search:
    """Finds the people near a face.

    The first statement asks the collection's index, or scans a collection of at most
    `scan_apart_above_faces` outright. The index's word stands for a nearest candidate within the
    collection's trust distance: first with a part of the effort and for one nearer still, as most enrolled
    people's are, then with all of it. For anything else an exact scan decides, in a pool of its own and
    behind an admission limit, since it takes a hundred times as long.

    A query without scores must not tell a distance by its time: which statements it takes depends on who is
    within the threshold alone. It asks the index once, with all of the effort, and accepts what is found
    wherever somebody is within the threshold, unless all whom the index proposed are: then there may be more.
    """

    def __init__(self, database: Database, scanner: Scanner, *, scan_apart_above_faces: int) -> None:
        self._database = database
        self._scanner = scanner
        self._scan_apart_above_faces = scan_apart_above_faces

    async def decide(self, query: Query) -> Found:
        """Find who is near, as Identify means it. Raises as Store does, and Overloaded for want of a turn."""
        found = await self._decide(query)
        metrics.SEARCHES.labels(found.mode.value).inc()
        return found

    async def _decide(self, query: Query) -> Found:
        if query.scores:
            first = await self._ask_index(query)
            accepted = first.decided
        else:
            first = await self._propose(query)
            accepted = first.search == "scan" or (first.found.matched_persons > 0 and not first.cut)
        if accepted or first.search == "none":
            return first.found
        mode = SearchMode.INDEX_CONFIRMED if first.search == "index" else SearchMode.EXACT
        return dataclasses.replace((await self._scanner.scan(query)).found, mode=mode)

    async def _ask_index(self, query: Query) -> Answer:
        """Ask with a part of the effort, and where that does not decide with all of it."""
        first = await self._propose(query, effort=QUICK_EFFORT, trust=QUICK_TRUST)
        if not first.decided and first.search == "index":
            # Most who come here are strangers: where their scan is refused anyway, so is the dearer look.
            self._scanner.check_room()
            first = await self._propose(query)
        return first

    async def look(self, query: Query) -> Found:
        """Find who is near, taking the index's word where there is an index. Raises as `decide`.

        Without scores it is not taken where all whom the index proposed are within the threshold: it would
        tell who of more than these are the nearest.
        """
        first = await self._propose(query)
        cut = not query.scores and first.cut
        return (await self._scanner.scan(query)).found if cut or first.search == "later" else first.found

    async def answers(self, query: Query) -> tuple[Found, Found, bool]:
        """What the index finds, what of it `decide` would answer, and whether a scan would decide instead.

        Raises as `decide`.
        """
        quick = await self._propose(query, effort=QUICK_EFFORT, trust=QUICK_TRUST)
        whole = await self._propose(query)
        return (
            whole.found,
            quick.found if quick.decided else whole.found,
            not (quick.decided or whole.decided),
        )

    @tried_anew
    async def _propose(self, query: Query, *, effort: float = 1.0, trust: float = 1.0) -> Answer:
        async with self._database.search_connection() as connection:
            return await ask(
                connection,
                query,
                exact_only=query.exact_only,
                scan_up_to=self._scan_apart_above_faces,
                effort=effort,
                trust=trust,
            )
