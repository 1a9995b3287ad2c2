"""Ends work whose client has hung up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from facerec.gateway.admission import Receive

T = TypeVar("T")


async def unless_gone(receive: Receive, working: Coroutine[Any, Any, T]) -> T:
    """The result of some work, which is cancelled when the client hangs up.

    Raises ConnectionResetError then, and what the work raises.
    """
    task, gone = asyncio.create_task(working), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ConnectionResetError
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()


async def _gone(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
