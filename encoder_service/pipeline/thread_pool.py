"""A thread pool that serves its callers in rotation.

Short and long work have a pool each, so that long work never occupies the threads of short work. The
operating system shares the cores among both.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, TypeVar

from encoder_service.domain.cancellation import Cancellable

Result = TypeVar("Result")


class FairThreadPool:
    """`threads` threads, which serve waiting callers in rotation.

    Within a caller, the parties that it acts on behalf of are served in rotation, and the work of one party
    in the order of its arrival. `ahead` more items are queued for busy threads, so that no thread waits for
    the event loop between two items. Coroutines belong to one event loop.
    """

    def __init__(self, name: str, threads: int, *, ahead: int = 0) -> None:
        self.threads: Final = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads + ahead
        self._waiting: dict[str, dict[str, deque[asyncio.Future[None]]]] = {}
        self._running: set[Future[Any]] = set()

    async def run(self, caller: str, work: Callable[[], Result], *, on_behalf_of: str = "") -> Result:
        """Run `work` on a thread as soon as the caller gets a permit.

        Work waits here and not in the executor, which would keep the image of a caller that has gone. When
        this coroutine is cancelled, the work ends at its next `cancellation.check`.
        """
        await self._acquire(caller, on_behalf_of)
        loop = asyncio.get_running_loop()
        cancellable = Cancellable()
        future = self.threads.submit(cancellable.run, work)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            cancellable.cancel()
            raise

    def close(self, wait_seconds: float) -> bool:
        """Refuse new work, drop queued work, and return whether the rest ended within `wait_seconds`."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        return not wait(list(self._running), wait_seconds).not_done

    async def _acquire(self, caller: str, on_behalf_of: str) -> None:
        if self._free:  # then nobody waits
            self._free -= 1
            return
        permit = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, {}).setdefault(on_behalf_of, deque()).append(permit)
        try:
            await permit
        except asyncio.CancelledError:
            if permit.cancelled():
                self._discard(caller, on_behalf_of, permit)
            else:  # the permit was granted as its waiter was cancelled
                self._release()
            raise

    def _discard(self, caller: str, on_behalf_of: str, permit: asyncio.Future[None]) -> None:
        of_caller = self._waiting.get(caller, {})
        permits = of_caller.get(on_behalf_of)
        if permits is not None and permit in permits:
            permits.remove(permit)
            if not permits:
                del of_caller[on_behalf_of]
            if not of_caller:
                del self._waiting[caller]

    def _release(self) -> None:
        """Grant the permit to the next waiter in rotation."""
        while self._waiting:
            permit = self._next()
            if not permit.done():
                permit.set_result(None)
                return
        self._free += 1

    def _next(self) -> asyncio.Future[None]:
        """Remove the next waiter's permit from the queue; its caller and party go to the end of theirs."""
        caller = next(iter(self._waiting))
        of_caller = self._waiting.pop(caller)
        on_behalf_of = next(iter(of_caller))
        permits = of_caller.pop(on_behalf_of)
        permit = permits.popleft()
        if permits:
            of_caller[on_behalf_of] = permits
        if of_caller:
            self._waiting[caller] = of_caller
        return permit
