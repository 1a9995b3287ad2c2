"""The queue in front of a network, which runs its items in batches.

There is no timer: a batch is what queued while the last one ran, so a lone item does not wait. Items that
were submitted together are a group, and a batch takes one item of each group in rotation, so that a single
face does not wait for all faces of a large group.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from encoder_service.domain.errors import ModelUnavailable, Overloaded
from facerec.serving.round_robin import RoundRobinQueue

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Runs items in batches of at most `max_batch` on its own threads; at most `capacity` items wait.

    `run` gets the items of a batch and returns as many results in the same order. When it raises, each item
    of the batch is run again alone, so that only the bad one fails. With more than one of `threads` as many
    batches run at once.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        max_batch: int,
        capacity: int,
        name: str,
        threads: int = 1,
    ) -> None:
        if not 1 <= max_batch <= capacity:
            raise ValueError(f"max_batch {max_batch} must lie between 1 and the capacity {capacity}")
        self._run = run
        self._max_batch = max_batch
        self._capacity = capacity
        self._waiting: RoundRobinQueue[tuple[Item, Future[Result]]] = RoundRobinQueue()
        self._changed = threading.Condition()
        self._closed = False
        self._batch_seconds = 0.0
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def max_batch(self) -> int:
        """The most items of a batch."""
        return self._max_batch

    @property
    def waiting(self) -> int:
        """Items that wait for a batch."""
        return len(self._waiting)

    def submit(self, items: Sequence[Item]) -> list[Future[Result]]:
        """Queue items, all or none, and return a future for each.

        An item whose future is cancelled before its batch begins is left out of it. Raises Overloaded where
        they don't all fit, ModelUnavailable after `close`.
        """
        futures: list[Future[Result]] = [Future() for _ in items]
        with self._changed:
            if self._closed:
                raise ModelUnavailable("the server is stopping", retry_after_seconds=1.0)
            if self.waiting + len(items) > self._capacity:
                batches = self.waiting / self._max_batch + 1
                raise Overloaded(
                    "too many faces wait to be encoded; retry later",
                    retry_after_seconds=max(0.1, batches * self._batch_seconds),
                )
            group = object()
            for item, future in zip(items, futures, strict=True):
                self._waiting.put(group, (item, future))
            self._changed.notify()
        return futures

    def close(self, wait_seconds: float | None = None) -> bool:
        """Refuse new items and finish those that wait.

        Returns True when the last is answered, or False after `wait_seconds`.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        deadline = None if wait_seconds is None else time.monotonic() + wait_seconds
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while batch := self._next_batch():
            begin = time.monotonic()
            self._answer(batch)
            self._batch_seconds = time.monotonic() - begin

    def _next_batch(self) -> list[tuple[Item, Future[Result]]]:
        """Wait for items; an empty batch means that the batcher is closed and its queue is empty."""
        batch: list[tuple[Item, Future[Result]]] = []
        with self._changed:
            while not batch:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return []
                while self._waiting and len(batch) < self._max_batch:
                    item, future = self._waiting.take()
                    if future.set_running_or_notify_cancel():
                        batch.append((item, future))
            if self._waiting:
                self._changed.notify()  # for another thread, if one is idle
        return batch

    def _answer(self, batch: list[tuple[Item, Future[Result]]]) -> None:
        try:
            results = self._run([item for item, _ in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for a batch of {len(batch)}")
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:
                for pair in batch:
                    self._answer([pair])
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)
