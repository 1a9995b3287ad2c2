"""Several coroutines at once, none of which outlives the others' failure."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def gather_or_cancel(coroutines: Iterable[Coroutine[Any, Any, Result]], *, limit: int) -> list[Result]:
    """Run coroutines, at most `limit` at once, and return their results, in order.

    Raises the error of the first that failed, in their order, after cancelling the others. (asyncio.gather
    leaves the others running; asyncio.TaskGroup raises a group of errors.)
    """
    semaphore = asyncio.Semaphore(limit)

    async def limited(coroutine: Coroutine[Any, Any, Result]) -> Result:
        async with semaphore:
            return await coroutine

    started = list(coroutines)
    tasks = [asyncio.create_task(limited(each)) for each in started]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in started:
            each.close()  # those that never began
