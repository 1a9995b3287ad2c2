"""How often a caller may fail against one person: one count in the database for all replicas.

Whoever may not see distances learns a stored vector by failing: each failed try can tell a number about it.
So tries are counted where they fail. docs/decisions/0001-failed-tries.md has the reasons.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from facerec.errors import FacerecError
from facerec.serving import call
from facerec.serving.metrics import DENIED
from matcher_service.database import Connection
from matcher_service.errors import FaceDuplicate, TriesExhausted
from matcher_service.faces import Encoding, Verification
from matcher_service.store import Nearest, Store, found_row, nearest_face

DAY_SECONDS: Final = 86400.0
ENROLMENTS: Final = 0  # no person's key: a caller's enrolments that were refused as duplicates
PERSON: Final = "this person"
ENROLLED: Final = "the faces enrolled"
MAX_WAITING = 16  # tries of one caller against one person that wait for their turn
RETRY_SECONDS = 1.0

Key = tuple[str, str, str]
"""Collection, person ("" for enrolments) and caller, whose tries are made one after another."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """So many failed tries at once, and as many regained evenly over a day; one at once where it is less."""

    per_day: float

    @property
    def try_seconds(self) -> float:
        """How long it takes to regain one."""
        return DAY_SECONDS / self.per_day

    @property
    def most_missing_seconds(self) -> float:
        """How long the regaining of what is missing may take at the most for one more to be left."""
        return (max(1.0, self.per_day) - 1.0) * self.try_seconds


class FailedTries:
    """Decides for callers who have so many failed tries a day, and counts those that fail."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns = Turns()
        self._deciding: set[asyncio.Task[Verification]] = set()

    async def verify(
        self,
        collection_id: str,
        person_id: str,
        face: Encoding | uuid.UUID,
        decide: Callable[[Nearest], Verification],
        per_day: float,
    ) -> Verification:
        """Decide a claim. A match counts nothing and regains nothing.

        Raises TriesExhausted, whatever the distance would have been and with nothing decided; what `decide`
        raises, which counts nothing; and as Store does.
        """
        key = (collection_id, person_id, call.caller_name())
        await self._turns.take(key)
        deciding = asyncio.create_task(self._verify(key, face, decide, Budget(per_day)))
        self._deciding.add(deciding)
        deciding.add_done_callback(lambda done: self._end(key, done))
        # A match is answered sooner than a failure is counted. Whoever hangs up in between has failed all
        # the same: it is counted to the end.
        return await asyncio.shield(deciding)

    def _end(self, key: Key, done: "asyncio.Task[Verification]") -> None:
        self._turns.give(key)
        self._deciding.discard(done)
        if not done.cancelled():
            done.exception()  # nobody may be left to be told

    async def _verify(
        self,
        key: Key,
        face: Encoding | uuid.UUID,
        decide: Callable[[Nearest], Verification],
        budget: Budget,
    ) -> Verification:
        collection_id, person_id, caller = key
        async with self._store.transaction(collection_id) as (connection, queries):
            await connection.execute(queries["lock_tries"], *_lock_numbers(key))
            tries = found_row(await connection.fetchrow(queries["get_tries"], *key))
            _check(budget, tries["missing_seconds"], PERSON)
            found = await nearest_face(connection, collection_id, person_id, face)
            if tries["person_key"] is None:  # whoever was enrolled between the statements is not known yet
                found = dataclasses.replace(found, person_found=False)
            verification = decide(found)
            if not verification.match:
                whose = collection_id, tries["person_key"], caller
                await _take(connection, queries, whose, budget, PERSON)
        return verification

    @contextlib.asynccontextmanager
    async def refusals(self, collection_id: str, per_day: float) -> AsyncIterator[None]:
        """Around a look for duplicates: take a try before it; give it back unless FaceDuplicate ends it.

        Nor is it given back where the caller hangs up. Raises TriesExhausted, and as Store does.
        """
        key, budget = (collection_id, "", call.caller_name()), Budget(per_day)
        await self._turns.take(key)
        try:
            await self._take_for_enrolment(key, budget)
            try:
                yield
            except FaceDuplicate:
                raise
            except FacerecError:
                await self._give_back(key, budget)
                raise
            await self._give_back(key, budget)
        finally:
            self._turns.give(key)

    async def _take_for_enrolment(self, key: Key, budget: Budget) -> None:
        collection_id, _, caller = key
        async with self._store.transaction(collection_id) as (connection, queries):
            await _take(connection, queries, (collection_id, ENROLMENTS, caller), budget, ENROLLED)

    async def _give_back(self, key: Key, budget: Budget) -> None:
        collection_id, _, caller = key
        async with self._store.transaction(collection_id) as (connection, queries):
            await connection.execute(
                queries["give_try_back"], collection_id, ENROLMENTS, caller, budget.try_seconds
            )


class Turns:
    """One at a time of each key in this process, so that whoever waits holds no database connection."""

    def __init__(self) -> None:
        self._locks: dict[Key, tuple[asyncio.Lock, int]] = {}

    async def take(self, key: Key) -> None:
        """Wait for a turn. Raises TriesExhausted where too many wait."""
        lock, wanted = self._locks.get(key, (asyncio.Lock(), 0))
        if wanted > MAX_WAITING:
            raise _refusal("more tries at once than are taken; send one after another", RETRY_SECONDS)
        self._locks[key] = (lock, wanted + 1)
        try:
            await lock.acquire()
        except BaseException:
            self._forget(key)
            raise

    def give(self, key: Key) -> None:
        """Let the next one have it."""
        self._locks[key][0].release()
        self._forget(key)

    def _forget(self, key: Key) -> None:
        lock, wanted = self._locks.pop(key)
        if wanted > 1:
            self._locks[key] = (lock, wanted - 1)


async def _take(
    connection: Connection, queries: Mapping[str, str], whose: tuple[str, int, str], budget: Budget, what: str
) -> None:
    """Count a failed try. Raises TriesExhausted where none is left."""
    limits = budget.try_seconds, budget.most_missing_seconds
    if not await connection.fetchval(queries["take_try"], *whose, *limits):
        missing_seconds = await connection.fetchval(queries["missing_seconds"], *whose) or 0.0
        _check(budget, max(missing_seconds, budget.most_missing_seconds + 0.001), what)


def _check(budget: Budget, missing_seconds: float, what: str) -> None:
    """Raises TriesExhausted where no try is left."""
    wait_seconds = missing_seconds - budget.most_missing_seconds
    if wait_seconds > 0:
        raise _refusal(
            f"no failed try against {what} is left to this key, which has {budget.per_day:g} a day: try "
            "again when one is regained, or have `failed_tries_per_day` raised on the key",
            wait_seconds,
        )


def _refusal(message: str, retry_after_seconds: float) -> TriesExhausted:
    error = TriesExhausted(message, retry_after_seconds=retry_after_seconds)
    DENIED.labels(error.reason.value).inc()
    return error


def _lock_numbers(key: Key) -> tuple[int, int]:
    """64 bits of a hash, as two integers of Postgres. The parts hold no NUL."""
    digest = hashlib.sha256("\0".join(key).encode()).digest()
    return int.from_bytes(digest[:4], "big", signed=True), int.from_bytes(digest[4:8], "big", signed=True)
