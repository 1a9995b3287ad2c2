"""Persons who may be one: pairs near enough, for somebody to merge or to dismiss."""

import bisect
import dataclasses
import itertools
import time
import uuid

import asyncpg

from facerec.serving.middleware import call
from matcher_service.domain import page_tokens
from matcher_service.domain.errors import CollectionNotFound, PersonNotFound
from matcher_service.domain.page_tokens import PairList
from matcher_service.postgres.database import Connection, Database
from matcher_service.postgres.driver_errors import tried_anew
from matcher_service.postgres.statements import of_collection

MAX_DISTANCE = 0.6  # of a request's: what the network was trained to tell two persons apart by
PAGE_SECONDS = 5.0  # a page may be short of pairs, and says where to go on
STATEMENT_DISTANCES = 5_000_000  # measured by one exact statement: about a second
MOST_PERSONS = 200  # an exact statement's
INDEX_PERSONS = 50
INDEX_FACES = 1000  # of the persons whom the index is asked about; of those it proposes, 50 times as many
LAST_KEY = 2**63 - 1


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
    """The next pairs, and how many persons are done with."""

    pairs: list[Pair]
    persons: int
    exact: bool
    token: str


class Reviewer:
    """Compares people with each other on the connections of exact scans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @tried_anew
    async def list(self, listed: PairList, page_size: int, page_token: str, *, scores: bool = True) -> Page:
        """Examine people from where the token says, until there are pairs enough or the page's time is over.

        With `scores` the pairs of the page come nearest first, without them in the order of enrolment.

        Raises as Store does, Overloaded, OptionInvalid for a token of another list.
        """
        told = page_tokens.read_pair(page_token, listed)
        ends = time.monotonic() + min(PAGE_SECONDS, call.remaining_seconds(2 * PAGE_SECONDS) / 2)
        queries = of_collection(listed.collection_id)
        found: list[Pair] = []
        async with (
            self._database.maintenance_connection() as connection,
            connection.transaction(isolation="read_committed"),
        ):
            head = await connection.fetchrow(
                queries["begin_review"], listed.collection_id, listed.max_distance
            )
            if head is None:
                raise CollectionNotFound
            look = _Look(connection, listed, head, told)
            while len(found) < page_size and (time.monotonic() < ends or not look.steps):
                found += await look.step(page_size - len(found))
                if look.over:
                    break
        token = "" if look.over else page_tokens.pair_token(listed, *look.told)
        return Page(_nearest_first(found) if scores else found, look.persons, look.exact, token)

    @tried_anew
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


class _Look:
    """One page's look at people, in the order of their keys, on one connection.

    Pairs are told by their smaller key and then by the larger; `told` is how far. The first step is at one
    person and each at twice as many as the last: where many are near, little is compared in vain beyond the
    page's last pair, and where few are, the steps are few.
    """

    def __init__(
        self, connection: Connection, listed: PairList, head: asyncpg.Record, told: tuple[int, int]
    ) -> None:
        self._connection = connection
        self._listed = listed
        self._queries = of_collection(listed.collection_id)
        self._max_distance = head["max_distance"]
        self.exact = not head["indexed"]
        self._most_persons = MOST_PERSONS if self.exact else INDEX_PERSONS
        self._most_faces = STATEMENT_DISTANCES // max(1, head["faces"]) if self.exact else INDEX_FACES
        self._size = 1
        self.told = told
        self.steps = 0
        self.persons = 0
        self.over = False

    async def step(self, most: int) -> list[Pair]:
        """Find the next pairs, at most so many, of the next people; none may be among these."""
        low, high = self.told
        rows = await self._connection.fetch(
            self._queries["pick_reviewed"], self._listed.collection_id, low, self._size
        )
        self.steps += 1
        self._size = min(2 * self._size, self._most_persons)
        if not rows:
            self.over = True
            return []
        faces = itertools.accumulate(row["faces"] for row in rows)
        within = sum(total <= self._most_faces for total in faces)
        keys = [row["person_key"] for row in rows[: max(1, within)]]
        after, until = keys[0], LAST_KEY
        if len(keys) == 1 and after == low:
            after = max(low, high)
        if self.exact and not within:
            until = await self._bound(after, rows[0]["faces"])
        near = await self._connection.fetch(
            self._queries["review_exactly" if self.exact else "review_by_index"],
            self._listed.collection_id,
            keys,
            self._max_distance,
            self._listed.include_dismissed,
            low,
            high,
            most + 1,
            *((after, until) if self.exact else ()),
        )
        if len(near) > most:
            near = near[:most]
            self.told = near[-1]["low_key"], near[-1]["high_key"]
            self.persons += bisect.bisect_left(keys, self.told[0])
        elif until < LAST_KEY:
            self.told = keys[0], until
        else:
            self.told = keys[-1] + 1, 0
            self.persons += len(keys)
        return [_pair(row) for row in near]

    async def _bound(self, after: int, faces: int) -> int:
        """How far beyond a key somebody of very many faces can be compared with people by one statement."""
        bound = await self._connection.fetchval(
            self._queries["bound_reviewed"],
            self._listed.collection_id,
            after,
            max(1, STATEMENT_DISTANCES // faces),
        )
        return LAST_KEY if bound is None else int(bound)


def _pair(row: asyncpg.Record) -> Pair:
    return Pair(
        row["a"], row["b"], row["low_face"], row["high_face"], row["distance"], dismissed=row["dismissed"]
    )


def _nearest_first(pairs: list[Pair]) -> list[Pair]:
    return sorted(pairs, key=lambda pair: (pair.distance, pair.a, pair.b))
