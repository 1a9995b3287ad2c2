"""Requests that wait at the same time go to the database together, in one statement.

Most of what a small statement costs is not its rows (a round trip, the executor's start and end, the driver):
in a batch, many requests share that. There is no timer: a batch is what queued while the statements before it
ran, and what was being read when it was about to begin, so a lone request waits for nothing.
"""

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

import structlog

from facerec.serving.middleware import call
from facerec.serving.observability import spans
from matcher_service import metrics
from matcher_service.admission import SMOOTHING, Kind, refusal
from matcher_service.domain.errors import MatcherError, Overloaded
from matcher_service.postgres.batch import (
    MAX_PASSES,
    PASSES_PER_REQUEST,
    Batch,
    BatchFailed,
    Item,
    Queue,
    Request,
    Result,
)

log = structlog.get_logger(__name__)

Key = TypeVar("Key", bound=Hashable)


class Batcher(Generic[Key, Item, Result]):
    """Runs the requests of each key in batches that callers fill in turn, on one event loop. The key is their
    collection, and what else the requests of a batch must have in common.

    `run(key, items, callers)` runs up to `max_batch` items together, outside of any call, and
    returns a result for each, in their order; `callers` are the keys to be admitted by (`Database.session`).
    Up to `max_running` batches of a key run at once. If one with several requests fails, except by an
    overload, each is run by itself, in its own call and without `callers`: no request fails by another one.

    A request waits `wait_seconds` at most, and half of what its caller's deadline leaves; it is refused at
    once where the batches ahead of it take longer. `kind` is what is counted in the metrics.
    """

    def __init__(
        self,
        run: Callable[[Key, Sequence[Item], frozenset[str]], Awaitable[Sequence[Result]]],
        *,
        max_batch: int,
        max_running: int = 1,
        wait_seconds: float,
        kind: Kind,
    ) -> None:
        self._run = run
        self._max_batch = max_batch
        self._max_running = max_running
        self._wait_seconds = wait_seconds
        self._kind: Kind = kind
        self._queued = metrics.WAITING.labels(kind)
        self._queues: dict[Key, Queue[Item, Result]] = {}
        self._quiet_passes = PASSES_PER_REQUEST

    async def submit(self, key: Key, item: Item) -> Result:
        """Run an item, by itself or with others. Raises what `run` raises, and Overloaded."""
        request = self._enqueue(key, item)
        submitted = time.perf_counter()
        try:
            with spans.part_span("postgres"):
                result = await request.future
        except BatchFailed:
            (result,) = await self._run(key, [item], frozenset())
            return result
        except asyncio.CancelledError:
            self._end_wait(request)
            if request.batch is not None:
                request.batch.leave()
            raise
        metrics.POOL_SECONDS.observe(request.began - submitted)
        metrics.DATABASE_SECONDS.observe(time.perf_counter() - request.began)
        return result

    def check_capacity(self, key: Key) -> None:
        """Raises Overloaded where a request would be refused at once."""
        if queue := self._queues.get(key):
            self._allowed_seconds(queue, call.share_key())

    def _enqueue(self, key: Key, item: Item) -> Request[Item, Result]:
        loop = asyncio.get_running_loop()
        request: Request[Item, Result] = Request(item)
        queue = self._queues.get(key) or Queue()
        allowed_seconds = self._allowed_seconds(queue, request.caller)
        self._queues[key] = queue
        request.timer = loop.call_later(allowed_seconds, self._refuse, request, allowed_seconds)
        queue.waiting.put(request.caller, request)
        self._queued.inc()
        self._go_on(key, queue)
        return request

    def _allowed_seconds(self, queue: Queue[Item, Result], caller: str) -> float:
        """How long a request may wait. Raises Overloaded where it would wait for longer."""
        allowed_seconds = call.remaining_seconds(2 * self._wait_seconds) / 2
        batches_ahead = queue.waiting.ahead_of(caller) // self._max_batch
        expected_seconds = batches_ahead * queue.batch_seconds / self._max_running
        if not allowed_seconds or expected_seconds > allowed_seconds:
            raise refusal(self._kind, expected_seconds)
        return allowed_seconds

    def _refuse(self, request: Request[Item, Result], waited_seconds: float) -> None:
        """Refuse a request that has waited as long as it may."""
        self._end_wait(request)
        if not request.future.done():
            request.future.set_exception(refusal(self._kind, waited_seconds))

    def _end_wait(self, request: Request[Item, Result]) -> None:
        if request.timer is not None:
            request.timer.cancel()
            request.timer = None
            self._queued.dec()

    def _begin(self, key: Key, queue: Queue[Item, Result]) -> None:
        """Begin a batch of what waits, once no more requests come with each pass of the event loop."""
        if len(queue.waiting) < self._max_batch and queue.hold(self._quiet_passes):
            asyncio.get_running_loop().call_soon(self._begin, key, queue)
            return
        queue.release()
        if requests := self._take(queue):
            queue.running += 1
            self._quiet_passes = min(PASSES_PER_REQUEST * len(requests), MAX_PASSES)
            batch = Batch(requests)
            # It is the work of several calls: the present one's context, with its trace, is not for it.
            running = self._run_batch(key, batch)
            batch.task = asyncio.create_task(running, context=contextvars.Context())
            batch.task.add_done_callback(lambda _: self._end(key, queue, batch))
        self._go_on(key, queue)

    def _end(self, key: Key, queue: Queue[Item, Result], batch: Batch[Item, Result]) -> None:
        """A batch has ended, or was cancelled: begin the next."""
        batch.fail(BatchFailed())
        queue.running -= 1
        queue.batch_seconds += SMOOTHING * (batch.seconds - queue.batch_seconds)
        self._go_on(key, queue)

    def _go_on(self, key: Key, queue: Queue[Item, Result]) -> None:
        """Begin a batch if requests wait and one more may run; forget a queue without either."""
        if queue.held_since is not None:
            return
        if not queue.waiting:
            self._forget(key, queue)
        elif queue.running < self._max_running:
            queue.hold(self._quiet_passes)
            asyncio.get_running_loop().call_soon(self._begin, key, queue)

    def _forget(self, key: Key, queue: Queue[Item, Result]) -> None:
        if not queue.running:
            self._queues.pop(key, None)

    def _take(self, queue: Queue[Item, Result]) -> list[Request[Item, Result]]:
        requests: list[Request[Item, Result]] = []
        while queue.waiting and len(requests) < self._max_batch:
            request = queue.waiting.take()
            self._end_wait(request)
            if not request.future.done():
                requests.append(request)
        return requests

    async def _run_batch(self, key: Key, batch: Batch[Item, Result]) -> None:
        # The most patient caller's deadline; the others are cancelled by their own calls.
        call.begin(()).ends_at = batch.ends_at
        try:
            items = [request.item for request in batch.requests]
            batch.answer(await self._run(key, items, batch.callers))
        except Exception as error:
            # An overload is no request's fault, and to run each again would add to it.
            if len(batch.requests) == 1 or isinstance(error, Overloaded):
                batch.fail(error)
            elif not isinstance(error, MatcherError):
                log.warning("batch_failed", kind=self._kind, error=type(error).__name__)
