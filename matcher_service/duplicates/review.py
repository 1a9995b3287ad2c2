"""Lists likely duplicate pairs, for a person to merge or to dismiss."""

import bisect
import dataclasses
import itertools
import time
import uuid

from facerec.serving.middleware import call
from matcher_service.domain import page_tokens
from matcher_service.domain.errors import PersonNotFound
from matcher_service.domain.page_tokens import PairList
from matcher_service.postgres.database import Database, Row, Session
from matcher_service.postgres.driver_errors import retried_on_schema_change

MAX_DISTANCE = 0.6  # of a request: the distance that the network was trained to separate persons by
PAGE_SECONDS = 5.0  # after these a page ends, even with few pairs
STATEMENT_DISTANCES = 5_000_000  # of one exact statement: about a second
MAX_PERSONS = 200  # of one exact statement
INDEX_PERSONS = 50
INDEX_FACES = 1000  # of the persons in one query; the index proposes 50 times as many
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
    """The next pairs, and the number of persons whose pairs are complete."""

    pairs: list[Pair]
    persons: int
    exact: bool
    token: str


class Reviewer:
    """Compares people with each other on the connections of the scan pool."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried_on_schema_change
    async def list(
        self,
        listed: PairList,
        page_size: int,
        page_token: str,
        *,
        scores: bool = True,
        max_staleness: float | None = None,
    ) -> Page:
        """List pairs from the token on, until the page is full or PAGE_SECONDS are over.

        With `scores` the pairs of the page are sorted nearest first, without them by enrollment.
        `max_staleness` is as in `Database.review_session`.

        Raises CollectionNotFound, StoreUnavailable, Overloaded, OptionInvalid for a token of another list.
        """
        cursor = page_tokens.read_pair(page_token, listed)
        ends = time.monotonic() + min(PAGE_SECONDS, call.remaining_seconds(2 * PAGE_SECONDS) / 2)
        found: list[Pair] = []
        async with (
            self._database.review_session(listed.collection_id, max_staleness=max_staleness) as session,
            session.transaction(),
        ):
            settings = await session.required_row("begin_review", max_distance=listed.max_distance)
            review = _Review(session, listed, settings, cursor)
            while len(found) < page_size and (time.monotonic() < ends or not review.steps):
                found += await review.step(page_size - len(found))
                if review.over:
                    break
        token = "" if review.over else page_tokens.pair_token(listed, *review.cursor)
        return Page(_nearest_first(found) if scores else found, review.persons, review.exact, token)

    @retried_on_schema_change
    async def dismiss(self, collection_id: str, a: str, b: str, *, restore: bool) -> bool:
        """Dismiss a pair as two different persons, or restore it; returns whether anything changed.

        Raises CollectionNotFound, PersonNotFound, StoreUnavailable, Overloaded.
        """
        async with self._database.transaction(collection_id) as session:
            pair = await session.required_row("lock_pair", person_id_a=a, person_id_b=b)
            for key, field in (("key_a", "person_id_a"), ("key_b", "person_id_b")):
                if pair[key] is None:
                    raise PersonNotFound("the collection has no person with this id", field=field)
            statement = "restore_duplicate" if restore else "dismiss_duplicate"
            return bool(await session.value(statement, key_a=pair["key_a"], key_b=pair["key_b"]))


class _Review:
    """One page of likely duplicate pairs, in the order of persons' keys, on one connection.

    Pairs are ordered by their smaller key and then by the larger; `cursor` is the last pair. The first step
    examines one person, each further one twice as many: with many pairs little is compared beyond the end of
    the page, and with few pairs there are few steps.
    """

    def __init__(self, session: Session, listed: PairList, settings: Row, cursor: tuple[int, int]) -> None:
        self._session = session
        self._listed = listed
        self._max_distance = settings["max_distance"]
        self.exact = not settings["indexed"]
        self._max_persons = MAX_PERSONS if self.exact else INDEX_PERSONS
        self._max_faces = STATEMENT_DISTANCES // max(1, settings["faces"]) if self.exact else INDEX_FACES
        self._size = 1
        self.cursor = cursor
        self.steps = 0
        self.persons = 0
        self.over = False

    async def step(self, most: int) -> list[Pair]:
        """Find at most `most` next pairs, among the next people; there may be none."""
        low, high = self.cursor
        rows = await self._session.rows("pick_reviewed", first_key=low, max_persons=self._size)
        self.steps += 1
        self._size = min(2 * self._size, self._max_persons)
        if not rows:
            self.over = True
            return []
        faces = itertools.accumulate(row["faces"] for row in rows)
        within = sum(total <= self._max_faces for total in faces)
        keys = [row["person_key"] for row in rows[: max(1, within)]]
        after, until = keys[0], LAST_KEY
        if len(keys) == 1 and after == low:
            after = max(low, high)
        if self.exact and not within:
            until = await self._bound(after, rows[0]["faces"])
        bounds = {"after_key": after, "until_key": until} if self.exact else {}
        near = await self._session.rows(
            "review_exactly" if self.exact else "review_by_index",
            person_keys=keys,
            max_distance=self._max_distance,
            include_dismissed=self._listed.include_dismissed,
            last_low_key=low,
            last_high_key=high,
            max_rows=most + 1,
            **bounds,
        )
        if len(near) > most:
            near = near[:most]
            self.cursor = near[-1]["low_key"], near[-1]["high_key"]
            self.persons += bisect.bisect_left(keys, self.cursor[0])
        elif until < LAST_KEY:
            self.cursor = keys[0], until
        else:
            self.cursor = keys[-1] + 1, 0
            self.persons += len(keys)
        return [_pair(row) for row in near]

    async def _bound(self, after: int, faces: int) -> int:
        """The last key up to which one statement can compare a person with very many faces."""
        bound = await self._session.value(
            "bound_reviewed", after_key=after, faces=max(1, STATEMENT_DISTANCES // faces)
        )
        return LAST_KEY if bound is None else int(bound)


def _pair(row: Row) -> Pair:
    return Pair(
        row["a"], row["b"], row["low_face"], row["high_face"], row["distance"], dismissed=row["dismissed"]
    )


def _nearest_first(pairs: list[Pair]) -> list[Pair]:
    return sorted(pairs, key=lambda pair: (pair.distance, pair.a, pair.b))
