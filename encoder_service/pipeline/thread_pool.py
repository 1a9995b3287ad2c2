"""Threads whose work callers take turns in.

Short and long work have a pool each, so that however much long work there is, the threads of short work are
free of it; the operating system shares the cores among both.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, TypeVar

from encoder_service.domain.cancellation import Cancellable

Result = TypeVar("Result")


class FairThreadPool:
    """`threads` threads. Callers who wait are served in rotation, and of a caller those whom it calls for.

    Each of these is served in the order of its arrival.

    `ahead` more pieces of work are handed to the threads before they are free, so that no thread waits for
    the event loop between two of them. Coroutines belong to one event loop.
    """

    def __init__(self, name: str, threads: int, *, ahead: int = 0) -> None:
        self.threads: Final = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads + ahead
        self._waiting: dict[str, dict[str, deque[asyncio.Future[None]]]] = {}
        self._at_work: set[Future[Any]] = set()

    async def run(self, caller: str, work: Callable[[], Result], *, on_behalf_of: str = "") -> Result:
        """Do it on a thread when it is the turn of the caller, and of whom it calls for.

        Work waits here and not in the pool, which would keep the image of a caller that went away. When this
        is cancelled, the work ends at its next `cancellation.check`.
        """
        await self._enter(caller, on_behalf_of)
        loop = asyncio.get_running_loop()
        cancellable = Cancellable()
        future = self.threads.submit(cancellable.run, work)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._leave))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            cancellable.cancel()
            raise

    def close(self, wait_seconds: float) -> bool:
        """Take no more work, drop what waits, and say whether all else ended within `wait_seconds`."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        return not wait(list(self._at_work), wait_seconds).not_done

    async def _enter(self, caller: str, on_behalf_of: str) -> None:
        if self._free:  # then nobody waits
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, {}).setdefault(on_behalf_of, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._forget(caller, on_behalf_of, turn)
            else:  # the turn came as it was cancelled
                self._leave()
            raise

    def _forget(self, caller: str, on_behalf_of: str, turn: asyncio.Future[None]) -> None:
        of_caller = self._waiting.get(caller, {})
        turns = of_caller.get(on_behalf_of)
        if turns is not None and turn in turns:
            turns.remove(turn)
            if not turns:
                del of_caller[on_behalf_of]
            if not of_caller:
                del self._waiting[caller]

    def _leave(self) -> None:
        """Hand a place on to the caller whose turn it is."""
        while self._waiting:
            turn = self._next()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _next(self) -> asyncio.Future[None]:
        """Take the next turn out; its caller, and whom it calls for, go behind all others."""
        caller = next(iter(self._waiting))
        of_caller = self._waiting.pop(caller)
        on_behalf_of = next(iter(of_caller))
        turns = of_caller.pop(on_behalf_of)
        turn = turns.popleft()
        if turns:
            of_caller[on_behalf_of] = turns
        if of_caller:
            self._waiting[caller] = of_caller
        return turn
