"""Many items over one call: each answered by itself, as it finishes, and no more at once than agreed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def answer_each(
    items: AsyncIterator[Item], answer: Callable[[Item], Awaitable[Answer]], *, window: int
) -> AsyncIterator[Answer]:
    """Answer items as their work finishes, at most `window` of them between read and taken.

    An item is read only when there is room for it, and its room is free when the consumer comes back
    for the next answer: a slow reader stops the reading, and nothing piles up. `answer` raises nothing;
    what `items` raises ends the answers.
    """
    finished: asyncio.Queue[Answer | None] = asyncio.Queue()
    room = asyncio.Semaphore(window)

    async def work(item: Item) -> None:
        finished.put_nowait(await answer(item))

    async def feed() -> None:
        working: set[asyncio.Task[None]] = set()
        try:
            await room.acquire()
            async for item in items:
                task = asyncio.create_task(work(item))
                working.add(task)
                task.add_done_callback(working.discard)
                await room.acquire()
            await asyncio.gather(*working)
        finally:
            for task in working:
                task.cancel()
            finished.put_nowait(None)

    feeding = asyncio.create_task(feed())
    try:
        while (ready := await finished.get()) is not None:
            yield ready
            room.release()
        await feeding
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
