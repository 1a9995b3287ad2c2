"""Admission limits of shared resources; `facerec.serving.fairness` says how they differ from other limits."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Collection
from typing import Final, Literal

from facerec.serving.middleware import call
from matcher_service import metrics
from matcher_service.domain.errors import Overloaded
from matcher_service.domain.status import Queue

RETRY_SECONDS = 0.1  # the shortest retry delay of a refusal
MAX_RETRY_SECONDS = 30.0
SMOOTHING = 1 / 16  # weight of the newest service time

Kind = Literal["call", "index", "scan", "maintenance", "transfer", "export", "enroll", "encoder", "operation"]
"""The kind of work that a semaphore limits, as its metrics are labelled; `_WORK` has it in words."""

_WORK: Final[dict[Kind, str]] = {
    "call": "calls",
    "index": "searches and pages",
    "scan": "exact searches",
    "maintenance": "calibrations and reviews",
    "transfer": "imports and deletions of collections",
    "export": "exports",
    "enroll": "enrollments of this collection",
    "encoder": "images",
    "operation": "requests with a request id that take long",
}


class CallerQueue:
    """A caller's permits and waiting requests, oldest first; `served` orders callers by last service."""

    __slots__ = ("in_use", "key", "served", "waiting")

    def __init__(self, key: str, served: int) -> None:
        self.key = key
        self.in_use = 0
        self.served = served
        self.waiting: dict[asyncio.Future[None], None] = {}


class FairSemaphore:
    """A semaphore that shares its permits fairly among callers, for one event loop.

    The next permit goes to the waiting caller that holds the fewest, and among those to the one served
    longest ago; within a caller in the order of arrival. So between two of its own requests a caller waits
    for at most one of each other caller, however many those have sent. `permits` is the total number, `share`
    how many of them one caller may hold.

    Waiting is limited to `wait_seconds`, and to half of the caller's remaining deadline, so that the refusal
    arrives in time. A request is refused immediately if the requests ahead of it would take longer than that,
    by the smoothed service time; with fewer requests ahead than permits it may always wait.
    """

    def __init__(self, permits: int, *, wait_seconds: float, kind: Kind, share: int | None = None) -> None:
        self._permits = self._free = permits
        self._share = share or permits
        self._wait_seconds = wait_seconds
        self._kind: Kind = kind
        metrics.REFUSED.labels(kind)  # shown as 0 before the first refusal
        self._queued = metrics.WAITING.labels(kind)
        self._service_seconds = 0.0
        self._callers: dict[str, CallerQueue] = {}
        self._waiting: dict[str, CallerQueue] = {}
        self._order = itertools.count()

    @contextlib.asynccontextmanager
    async def permit(self, *, long: bool = False) -> AsyncIterator[None]:
        """Hold a permit, waiting for one. Raises Overloaded. `long` as for `release`."""
        caller = await self.acquire()
        acquired = time.monotonic()
        try:
            yield
        finally:
            self.release(caller, None if long else time.monotonic() - acquired)

    async def acquire(self, callers: Collection[str] = ()) -> CallerQueue:
        """Acquire a permit, waiting for one; returns its caller, for `release`. Raises Overloaded.

        `callers` are the keys of the callers that a request outside of a call is made for: the one with the
        fewest permits is charged.
        """
        key = min(callers, key=self._permits_of) if callers else call.share_key()
        caller = self._callers.get(key)
        if caller is None:
            caller = self._callers[key] = CallerQueue(key, next(self._order))
        if self._free and caller.in_use < self._share:  # then no waiting caller is eligible
            self._take(caller)
            return caller
        try:
            await self._wait(caller)
        finally:
            self._forget(caller)
        return caller

    def _permits_of(self, key: str) -> int:
        caller = self._callers.get(key)
        return caller.in_use if caller else 0

    def queue(self) -> Queue:
        """How many permits are in use, and how many requests wait for one."""
        waiting = sum(len(caller.waiting) for caller in self._waiting.values())
        return Queue(self._kind, self._permits, self._permits - self._free, waiting)

    def release(self, caller: CallerQueue, service_seconds: float | None) -> None:
        """Release a permit; `service_seconds` is how long it was held, None to not average it."""
        if service_seconds is not None:
            self._service_seconds += SMOOTHING * (service_seconds - self._service_seconds)
        caller.in_use -= 1
        self._free += 1
        if self._waiting:
            self._hand_out()
        self._forget(caller)

    async def _wait(self, caller: CallerQueue) -> None:
        allowed_seconds = self._allowed_seconds(len(caller.waiting))
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        caller.waiting[granted] = None
        self._waiting[caller.key] = caller
        self._queued.inc()
        try:
            async with asyncio.timeout(allowed_seconds):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():  # a permit was granted just as the wait ended
                self.release(caller, None)
            if isinstance(error, TimeoutError):
                raise self._refusal(allowed_seconds) from None
            raise
        finally:
            self._queued.dec()
            caller.waiting.pop(granted, None)
            if not caller.waiting and self._waiting.get(caller.key) is caller:
                del self._waiting[caller.key]

    def _allowed_seconds(self, own: int) -> float:
        """The longest wait of a further request of a caller with `own` waiting ones. Raises Overloaded."""
        allowed_seconds = call.remaining_seconds(2 * self._wait_seconds) / 2
        ahead = sum(min(len(each.waiting), own + 1) for each in self._waiting.values())
        expected_seconds = ahead * self._service_seconds / self._permits
        if not allowed_seconds or (ahead >= self._permits and expected_seconds > allowed_seconds):
            raise self._refusal(expected_seconds)
        return allowed_seconds

    def _hand_out(self) -> None:
        """Grant free permits to waiting requests."""
        while self._free:
            eligible = [each for each in self._waiting.values() if each.in_use < self._share]
            if not eligible:
                return
            caller = min(eligible, key=lambda each: (each.in_use, each.served))
            granted = next(iter(caller.waiting))
            del caller.waiting[granted]
            if not caller.waiting:
                del self._waiting[caller.key]
            if granted.done():  # its call was cancelled and has not noticed yet
                continue
            self._take(caller)
            granted.set_result(None)

    def _take(self, caller: CallerQueue) -> None:
        self._free -= 1
        caller.in_use += 1
        caller.served = next(self._order)

    def _forget(self, caller: CallerQueue) -> None:
        """Remove a caller without permits and waiting requests.

        Another CallerQueue may have the same key by then: a cancelled request notices that after newer ones
        arrived.
        """
        if not caller.in_use and not caller.waiting and self._callers.get(caller.key) is caller:
            del self._callers[caller.key]

    def _refusal(self, seconds: float) -> Overloaded:
        return refusal(self._kind, seconds)


def refusal(kind: Kind, seconds: float) -> Overloaded:
    """Count a refusal and build its error; `seconds` is the expected wait."""
    metrics.REFUSED.labels(kind).inc()
    return Overloaded(
        f"too many concurrent {_WORK[kind]}; retry later",
        retry_after_seconds=min(max(RETRY_SECONDS, seconds), MAX_RETRY_SECONDS),
    )


def three_quarters_of(permits: int) -> int:
    """The share of one caller that leaves a quarter of the permits to others, of four or more."""
    return permits - permits // 4
