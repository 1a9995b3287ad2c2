"""How often a caller may fail against one person: one count in the database for all replicas.

Whoever may not see distances learns a stored vector by failing: each failed try can tell a number about it,
and more the more tries matched before. docs/decisions/0001-failed-tries.md has the reasons.
"""

import asyncio
import contextlib
import dataclasses
import uuid
import weakref
from collections.abc import AsyncIterator
from typing import Final

from facerec.errors import FacerecError
from facerec.serving.middleware import call
from facerec.serving.observability.metrics import DENIED
from matcher_service.domain.errors import FaceDuplicate, TriesExhausted
from matcher_service.domain.faces import Encoding
from matcher_service.identification.query import CountedTry, VerifyResult
from matcher_service.identification.repository import DecisionRepository
from matcher_service.postgres.admission import FairSemaphore

DAY_SECONDS: Final = 86400.0
MATCH_TRIES: Final = 0.05  # what a match takes where the caller chooses vectors; with images it takes nothing
MAX_WAITING = 16  # tries of one caller against one person that wait for their turn
RETRY_SECONDS = 1.0
SEARCH_WAIT_SECONDS = 30.0  # for the searches for duplicates of one caller's other enrollments

Key = tuple[str, str, str]
"""Collection, person and caller, whose tries are made one after another."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """So many failed tries at once, and as many regained evenly over a day; one at once where it is less."""

    per_day: float

    @property
    def try_seconds(self) -> float:
        """How long it takes to regain one."""
        return DAY_SECONDS / self.per_day

    @property
    def max_missing_seconds(self) -> float:
        """How long the regaining of what is missing may take at the most for one more to be left."""
        return (max(1.0, self.per_day) - 1.0) * self.try_seconds


class FailedTries:
    """Counts the tries that fail, of callers who have so many a day."""

    def __init__(self, repository: DecisionRepository) -> None:
        self._repository = repository
        self._locks = KeyedLocks()
        self._searching: weakref.WeakValueDictionary[tuple[str, str], FairSemaphore] = (
            weakref.WeakValueDictionary()
        )
        self._deciding: set[asyncio.Task[VerifyResult]] = set()

    async def verify(
        self,
        collection_id: str,
        person_id: str,
        face: Encoding | uuid.UUID,
        max_distance: float | None,
        per_day: float,
    ) -> VerifyResult:
        """Measure a face as DecisionRepository does, and count it where it is no match.

        A match counts MATCH_TRIES where the caller may send vectors, else nothing; it regains nothing.

        Raises TriesExhausted, whatever the distance is, and as Store does.
        """
        key, budget = (collection_id, person_id, call.caller_name()), Budget(per_day)
        match_tries = MATCH_TRIES if call.may_send_encodings() else 0.0
        count = CountedTry(
            key[2], max_distance, budget.try_seconds, budget.max_missing_seconds, match_tries=match_tries
        )
        await self._locks.acquire(key)
        deciding = asyncio.create_task(self._repository.verify(collection_id, person_id, face, count))
        self._deciding.add(deciding)
        deciding.add_done_callback(lambda done: self._end(key, done))
        # What takes nothing is answered sooner than what is counted. Whoever hangs up in between has tried
        # all the same: it is counted to the end.
        found = await asyncio.shield(deciding)
        if found.wait_seconds:
            raise _exhausted("this person", budget, found.wait_seconds)
        return found

    def _end(self, key: Key, done: "asyncio.Task[VerifyResult]") -> None:
        self._locks.release(key)
        self._deciding.discard(done)
        if not done.cancelled():
            done.exception()  # nobody may be left to hear of it

    @contextlib.asynccontextmanager
    async def refusals(self, collection_id: str, per_day: float) -> AsyncIterator[None]:
        """Around a search for duplicates: take a try before it; give most of it back where nobody is found.

        A part is kept as of a match of Verify: the answer that costs less must not be free. Nothing is given
        back for FaceDuplicate or where the caller hangs up. Raises TriesExhausted, Overloaded, and as Store
        does.
        """
        caller, budget = call.caller_name(), Budget(per_day)
        async with self._search_permit(collection_id, caller):
            await self._count_refusal(collection_id, budget)
            try:
                yield
            except FaceDuplicate:
                raise
            except FacerecError:
                await self._give_back(collection_id, caller, budget)
                raise
            await self._give_back(collection_id, caller, budget)

    def _search_permit(self, collection_id: str, caller: str) -> contextlib.AbstractAsyncContextManager[None]:
        """One search at a time, which holds a whole try: two at once could find no try left for the second,
        though most of the first one's comes back.
        """
        semaphore = FairSemaphore(1, wait_seconds=SEARCH_WAIT_SECONDS, kind="enroll")
        return self._searching.setdefault((collection_id, caller), semaphore).permit()

    async def _give_back(self, collection_id: str, caller: str, budget: Budget) -> None:
        await self._repository.return_refusal(
            collection_id, caller, try_seconds=budget.try_seconds, share=1 - MATCH_TRIES
        )

    async def count_refusal(self, collection_id: str, per_day: float) -> None:
        """Count a duplicate that was found after the search. Raises TriesExhausted, and as Store does."""
        await self._count_refusal(collection_id, Budget(per_day))

    async def _count_refusal(self, collection_id: str, budget: Budget) -> None:
        wait_seconds = await self._repository.count_refusal(
            collection_id,
            call.caller_name(),
            try_seconds=budget.try_seconds,
            max_missing_seconds=budget.max_missing_seconds,
        )
        if wait_seconds:
            raise _exhausted("the faces enrolled", budget, wait_seconds)


class KeyedLocks:
    """One at a time of each key in this process, so that whoever waits holds no database connection."""

    def __init__(self) -> None:
        self._locks: dict[Key, tuple[asyncio.Lock, int]] = {}

    async def acquire(self, key: Key) -> None:
        """Wait for a turn. Raises TriesExhausted where too many wait."""
        lock, wanted = self._locks.get(key, (asyncio.Lock(), 0))
        if wanted > MAX_WAITING:
            raise _refusal(
                "too many concurrent tries against this person; send one after another", RETRY_SECONDS
            )
        self._locks[key] = (lock, wanted + 1)
        try:
            await lock.acquire()
        except BaseException:
            self._forget(key)
            raise

    def release(self, key: Key) -> None:
        """Let the next one have it."""
        self._locks[key][0].release()
        self._forget(key)

    def _forget(self, key: Key) -> None:
        lock, wanted = self._locks.pop(key)
        if wanted > 1:
            self._locks[key] = (lock, wanted - 1)


def _exhausted(what: str, budget: Budget, wait_seconds: float) -> TriesExhausted:
    return _refusal(
        f"this key has used up its failed tries against {what}, {budget.per_day:g} a day: retry later, or "
        "have `failed_tries_per_day` raised on the key",
        wait_seconds,
    )


def _refusal(message: str, retry_after_seconds: float) -> TriesExhausted:
    error = TriesExhausted(message, retry_after_seconds=retry_after_seconds)
    DENIED.labels(error.reason.value).inc()
    return error
