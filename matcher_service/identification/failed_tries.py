"""Limits a caller's failed tries against one person, counted in the database for all replicas.

A caller who may not see distances could still reconstruct a stored encoding from many failed tries: each
reveals a number about it. docs/decisions/0001-failed-tries.md has the reasons.
"""

import asyncio
import contextlib
import dataclasses
import weakref
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, Final, TypeVar

from facerec.errors import FacerecError
from facerec.serving.middleware import call
from facerec.serving.observability.metrics import DENIED
from matcher_service.admission import FairSemaphore
from matcher_service.domain.errors import FaceDuplicate, FaceInconsistent, TriesExhausted
from matcher_service.identification.fusion import Claimed
from matcher_service.identification.query import CountedTry, Query, SearchResult, VerifyResult
from matcher_service.identification.repository import DecisionRepository, NoTryLeft

DAY_SECONDS: Final = 86400.0
# The cost of a match, per photo, if the caller chooses what is compared: encodings, or the images of a mean.
# A match of a single image costs nothing.
MATCH_TRIES: Final = 0.05
MAX_COUNTED_PERSONS: Final = 10  # a search among so many people or fewer is a try against each
MAX_WAITING = 16  # waiting tries of one caller against one person
RETRY_SECONDS = 1.0
SEARCH_WAIT_SECONDS = 30.0  # for the duplicate searches of the caller's other enrollments

Key = tuple[str, str, str]
"""Collection, person (by id in Verify, by key in Identify) and caller; tries with one key are made one after
another. In the database, tries against one person wait for each other by whichever method."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Budget:
    """A token bucket of `per_day` failed tries (at least 1), refilled evenly over a day."""

    per_day: float

    @property
    def try_seconds(self) -> float:
        """The time to regain one try."""
        return DAY_SECONDS / self.per_day

    @property
    def max_missing_seconds(self) -> float:
        """How far away the time when the bucket is full may be, with one try still left."""
        return (max(1.0, self.per_day) - 1.0) * self.try_seconds


class FailedTries:
    """Counts the failed tries of callers with a daily limit."""

    def __init__(self, repository: DecisionRepository) -> None:
        self._repository = repository
        self._locks = KeyedLocks()
        self._searching: weakref.WeakValueDictionary[tuple[str, str], FairSemaphore] = (
            weakref.WeakValueDictionary()
        )
        self._deciding: set[asyncio.Task[Any]] = set()

    async def verify(
        self,
        collection_id: str,
        person_id: str,
        claimed: Claimed,
        max_distance: float | None,
        per_day: float,
    ) -> VerifyResult:
        """Measure a face as DecisionRepository.verify does, and count it as a failed try if it does not
        match; one of several photos counts as so many.

        A match costs MATCH_TRIES if the caller may send encodings or sends several photos, else nothing; it
        gives no tries back.

        Raises TriesExhausted, whatever the distance is, and what DecisionRepository raises.
        """
        key, budget = (collection_id, person_id, call.caller_name()), Budget(per_day)
        await self._locks.acquire(key)
        count = _counted(budget, max_distance, claimed.photos)
        found = await self._uncanceled(
            self._repository.verify_counted(collection_id, person_id, claimed, count), [key]
        )
        if found.wait_seconds:
            raise _exhausted("this person", budget, found.wait_seconds)
        return found

    async def identify(self, query: Query, per_day: float) -> SearchResult:
        """Search among a query's few people as DecisionRepository.identify_counted does: as `verify` of each.

        Raises TriesExhausted, whatever the distances are, if no try is left against one of them, and then
        counts none; and what DecisionRepository raises.
        """
        caller, budget = call.caller_name(), Budget(per_day)
        held: list[Key] = []
        try:
            for person_key in sorted(query.person_keys or ()):
                key = (query.collection_id, str(person_key), caller)
                await self._locks.acquire(key)
                held.append(key)
        except BaseException:
            self._release(held)
            raise
        count = _counted(budget, query.max_distance, query.photos)
        try:
            return await self._uncanceled(self._repository.identify_counted(query, count), held)
        except NoTryLeft as error:
            raise _exhausted("one of these persons", budget, error.wait_seconds) from None

    async def _uncanceled(self, decision: Coroutine[Any, Any, T], held: Sequence[Key]) -> T:
        """Run a decision to its end, and release its locks then.

        A match that costs nothing is answered sooner than a failure is counted. A caller that cancels in
        between must not avoid the count.
        """
        deciding = asyncio.create_task(decision)
        self._deciding.add(deciding)
        deciding.add_done_callback(lambda done: self._end(held, done))
        return await asyncio.shield(deciding)

    def _release(self, held: Sequence[Key]) -> None:
        for key in held:
            self._locks.release(key)

    def _end(self, held: Sequence[Key], done: "asyncio.Task[Any]") -> None:
        self._release(held)
        self._deciding.discard(done)
        if not done.cancelled():
            done.exception()  # retrieved, as the caller may be gone

    @contextlib.asynccontextmanager
    async def charged_search(self, collection_id: str, per_day: float) -> AsyncIterator[None]:
        """Wrap a search for duplicates: charge a failed try before it, and return most of it afterwards,
        unless the face was refused.

        MATCH_TRIES of it are kept, as for a match of Verify, so that no answer is free. Nothing is returned
        for FaceDuplicate, FaceInconsistent or a cancelled call. Raises TriesExhausted, Overloaded, and what
        DecisionRepository raises.
        """
        caller, budget = call.caller_name(), Budget(per_day)
        async with self._search_permit(collection_id, caller):
            await self._count_refusal(collection_id, budget)
            try:
                yield
            except (FaceDuplicate, FaceInconsistent):
                raise
            except FacerecError:
                await self._give_back(collection_id, caller, budget)
                raise
            await self._give_back(collection_id, caller, budget)

    def _search_permit(self, collection_id: str, caller: str) -> contextlib.AbstractAsyncContextManager[None]:
        """A permit for one search at a time: with two at once the second could find no try left, although
        most of the first one's try is returned.
        """
        semaphore = FairSemaphore(1, wait_seconds=SEARCH_WAIT_SECONDS, kind="enroll")
        return self._searching.setdefault((collection_id, caller), semaphore).permit()

    async def _give_back(self, collection_id: str, caller: str, budget: Budget) -> None:
        await self._repository.return_refusal(
            collection_id, caller, try_seconds=budget.try_seconds, share=1 - MATCH_TRIES
        )

    async def count_refusal(self, collection_id: str, per_day: float) -> None:
        """Count a duplicate found after the search. Raises TriesExhausted, and what DecisionRepository
        raises.
        """
        await self._count_refusal(collection_id, Budget(per_day))

    async def _count_refusal(self, collection_id: str, budget: Budget) -> None:
        wait_seconds = await self._repository.count_refusal(
            collection_id,
            call.caller_name(),
            try_seconds=budget.try_seconds,
            max_missing_seconds=budget.max_missing_seconds,
        )
        if wait_seconds:
            raise _exhausted("enrolled faces", budget, wait_seconds)


class KeyedLocks:
    """A lock for each key in this process, so that waiting tries hold no database connection."""

    def __init__(self) -> None:
        self._locks: dict[Key, tuple[asyncio.Lock, int]] = {}

    async def acquire(self, key: Key) -> None:
        """Acquire the lock of a key. Raises TriesExhausted if too many wait for it."""
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
        """Release the lock of a key."""
        self._locks[key][0].release()
        self._forget(key)

    def _forget(self, key: Key) -> None:
        lock, wanted = self._locks.pop(key)
        if wanted > 1:
            self._locks[key] = (lock, wanted - 1)


def _counted(budget: Budget, max_distance: float | None, photos: int) -> CountedTry:
    """A try of the current caller, with so many photos."""
    return CountedTry(
        call.caller_name(),
        max_distance,
        budget.try_seconds,
        budget.max_missing_seconds,
        match_tries=MATCH_TRIES * photos if photos > 1 or call.may_send_encodings() else 0.0,
        failure_tries=float(photos),
    )


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
