"""Persons who may be one: pairs near enough, for somebody to merge or to dismiss."""

import dataclasses
import time
import uuid

from matcher_service import deadline, pages
from matcher_service.admission import Admission
from matcher_service.database import Database
from matcher_service.errors import CollectionNotFound, PersonNotFound
from matcher_service.queries import of_collection

PAGE_SECONDS = 5.0  # a page may be short of pairs, and says where to go on
STATEMENT_DISTANCES = 5_000_000  # measured by one statement: about a second
MOST_PERSONS = 200  # a statement's
INDEX_PERSONS = 50


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two persons, the earlier enrolled first, by their nearest faces."""

    a: str
    b: str
    face_a: uuid.UUID
    face_b: uuid.UUID
    distance: float
    dismissed: bool


@dataclasses.dataclass(frozen=True)
class Page:
    """Pairs, nearest first, of the persons examined with those enrolled after them."""

    pairs: list[Pair]
    persons: int
    exact: bool
    token: str


class Reviewer:
    """Compares people with each other on the connections of exact scans and behind their door."""

    def __init__(self, database: Database, door: Admission) -> None:
        self._database = database
        self._door = door

    async def list(
        self,
        collection_id: str,
        max_distance: float | None,
        page_size: int,
        page_token: str,
        *,
        include_dismissed: bool,
    ) -> Page:
        """Examine people from where the token says, until there are pairs enough or the page's time is over.

        Raises as Store does, Overloaded, OptionInvalid for a token of another list.
        """
        last = pages.read_review(page_token, collection_id)
        ends = time.monotonic() + min(PAGE_SECONDS, deadline.remaining_seconds(2 * PAGE_SECONDS) / 2)
        queries = of_collection(collection_id)
        found: list[Pair] = []
        persons = 0
        async with (
            self._door.turn(),
            self._database.scan_connection() as connection,
            connection.transaction(isolation="read_committed"),
        ):
            head = await connection.fetchrow(queries["begin_review"], collection_id, max_distance)
            if head is None:
                raise CollectionNotFound
            exact = not head["indexed"]
            # Of the faces of two persons in three: an average has more than one.
            batch = STATEMENT_DISTANCES // (2 * max(1, head["faces"])) if exact else INDEX_PERSONS
            batch = min(max(1, batch), MOST_PERSONS)
            statement = queries["review_exactly" if exact else "review_by_index"]
            while len(found) < page_size and (time.monotonic() < ends or not persons):
                rows = await connection.fetch(queries["pick_reviewed"], collection_id, last, batch)
                if not rows:
                    return Page(_nearest_first(found), persons, exact, "")
                keys = [row["person_key"] for row in rows]
                near = await connection.fetch(
                    statement, collection_id, keys, head["max_distance"], include_dismissed
                )
                found += [
                    Pair(
                        row["a"],
                        row["b"],
                        row["low_face"],
                        row["high_face"],
                        row["distance"],
                        row["dismissed"],
                    )
                    for row in near
                ]
                last, persons = keys[-1], persons + len(keys)
        return Page(_nearest_first(found), persons, exact, pages.review_token(collection_id, last))

    async def dismiss(self, collection_id: str, a: str, b: str, *, restore: bool) -> bool:
        """Note that two persons are two, or take that back; says whether it changed anything.

        Raises as Store does, PersonNotFound.
        """
        queries = of_collection(collection_id)
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="read_committed"),
        ):
            held = await connection.fetchrow(queries["lock_merged_persons"], collection_id, a, b)
            if held is None:
                raise CollectionNotFound
            for key, field in (("source_key", "person_id_a"), ("target_key", "person_id_b")):
                if held[key] is None:
                    raise PersonNotFound("the collection has nobody of this id", field=field)
            statement = queries["restore_duplicate" if restore else "dismiss_duplicate"]
            keys = held["source_key"], held["target_key"]
            return bool(await connection.fetchval(statement, collection_id, *keys))


def _nearest_first(pairs: list[Pair]) -> list[Pair]:
    return sorted(pairs, key=lambda pair: (pair.distance, pair.a, pair.b))
