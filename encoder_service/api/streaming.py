"""Many items over one call: each is answered as it finishes, with a bounded number in flight."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def answer_each(
    items: AsyncIterator[Item], answer: Callable[[Item], Awaitable[Answer]], *, window: int
) -> AsyncIterator[Answer]:
    """Answer items as their work finishes, with at most `window` of them in flight.

    An item is in flight from its reading until the consumer asks for the answer after its own, so a slow
    consumer stops the reading and nothing accumulates. `answer` must not raise; an exception of `items` ends
    the answers.
    """
    finished: asyncio.Queue[Answer | None] = asyncio.Queue()
    permits = asyncio.Semaphore(window)

    async def work(item: Item) -> None:
        finished.put_nowait(await answer(item))

    async def feed() -> None:
        working: set[asyncio.Task[None]] = set()
        try:
            await permits.acquire()
            async for item in items:
                task = asyncio.create_task(work(item))
                working.add(task)
                task.add_done_callback(working.discard)
                await permits.acquire()
            await asyncio.gather(*working)
        finally:
            for task in working:
                task.cancel()
            finished.put_nowait(None)

    feeding = asyncio.create_task(feed())
    try:
        while (ready := await finished.get()) is not None:
            yield ready
            permits.release()
        await feeding
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
