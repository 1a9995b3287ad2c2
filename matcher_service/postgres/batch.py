"""A batch of requests, and the queue that it is filled from; `batching` runs them."""

import asyncio
import copy
import time
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from facerec.serving.middleware import call
from facerec.serving.round_robin import RoundRobinQueue

Item = TypeVar("Item")
Result = TypeVar("Result")

# A busy event loop accepts calls one or two at a time, and needs several passes until one of them gets here:
# a batch that began immediately would hold two. So it is held for some passes after the last request, more if
# the batch before it was larger. An idle loop makes a pass in a few microseconds.
PASSES_PER_REQUEST: Final = 4
MAX_PASSES: Final = 64
MAX_HOLD_SECONDS: Final = 0.005


class BatchFailed(Exception):
    """A batch failed: each of its requests is to run alone."""


class Request(Generic[Item, Result]):
    """An item that waits, and its caller: the key, and until when it waits by time.monotonic, None for ever.

    `began` is when the item's batch began, by time.perf_counter.
    """

    __slots__ = ("batch", "began", "caller", "ends_at", "future", "item", "timer")

    def __init__(self, item: Item) -> None:
        present = call.current()
        self.item = item
        self.caller = call.share_key()
        self.ends_at = present.ends_at if present else None
        self.future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self.timer: asyncio.TimerHandle | None = None  # ends the wait; None once it has ended
        self.batch: Batch[Item, Result] | None = None
        self.began = 0.0


class Batch(Generic[Item, Result]):
    """Requests that run together; `task` is cancelled where the callers of all have gone."""

    def __init__(self, requests: list[Request[Item, Result]]) -> None:
        self.requests = requests
        self.task: asyncio.Task[None] | None = None
        self._wanted = len(requests)
        self._began = time.perf_counter()
        for request in requests:
            request.batch = self
            request.began = self._began

    @property
    def callers(self) -> frozenset[str]:
        """The keys of those whose requests these are."""
        return frozenset(request.caller for request in self.requests)

    @property
    def ends_at(self) -> float | None:
        """Until when the most patient caller waits, by time.monotonic; None if one has no deadline."""
        times = [each.ends_at for each in self.requests if each.ends_at is not None]
        return max(times) if len(times) == len(self.requests) else None

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.perf_counter() - self._began

    def leave(self) -> None:
        """One of the callers has gone."""
        self._wanted -= 1
        if not self._wanted and self.task is not None:
            self.task.cancel()

    def answer(self, results: Sequence[Result]) -> None:
        """Give each request its result. Raises ValueError where there are not as many."""
        for request, result in zip(self.requests, results, strict=True):
            if not request.future.done():
                request.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Give each request that has no answer a copy of an error."""
        for request in self.requests:
            if not request.future.done():
                request.future.set_exception(copy.copy(error))


class Queue(Generic[Item, Result]):
    """A collection's requests: those that wait, how many statements run, and how long a batch takes.

    While a batch is held for what is being read, `held_since` is since when, `passes` how often the event
    loop went round without another request, and `seen` how many there were.
    """

    def __init__(self) -> None:
        self.waiting: RoundRobinQueue[Request[Item, Result]] = RoundRobinQueue()
        self.running = 0
        self.batch_seconds = 0.0
        self.held_since: float | None = None
        self.passes = 0
        self.seen = 0

    def hold(self, quiet_passes: int) -> bool:
        """Whether to wait for one more pass of the event loop before the next batch begins."""
        now = time.perf_counter()
        if self.held_since is None:
            self.held_since = now
        if len(self.waiting) > self.seen:
            self.seen, self.passes = len(self.waiting), 0
        self.passes += 1
        return self.passes <= quiet_passes and now - self.held_since < MAX_HOLD_SECONDS

    def release(self) -> None:
        """The next batch begins."""
        self.held_since = None
        self.passes = self.seen = 0
