"""Checks standbys that lag again, soon at first: a short lag keeps one out of use for as short a time."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from matcher_service.postgres.driver_errors import LOST_ERRORS
from matcher_service.postgres.standbys.positions import Unfit
from matcher_service.postgres.standbys.standby import Standby

FIRST_SECONDS: Final = 0.02  # to the first check; each pause is twice the one before


class Rechecks:
    """Checks of single standbys, each by a task, until it is read from or lasts too long for them."""

    def __init__(self, check: Callable[[Standby], Awaitable[None]], *, longest_seconds: float) -> None:
        """`longest_seconds` is how often all standbys are checked anyway: no pause is longer."""
        self._check = check
        self._longest_seconds = longest_seconds
        self._tasks: dict[Standby, asyncio.Task[None]] = {}

    def begin(self, standby: Standby) -> None:
        """Begin to check one that lags, unless that is under way."""
        if standby not in self._tasks:
            # It is the work of many calls: the present one's context, with its trace, is not for it.
            self._tasks[standby] = asyncio.create_task(self._run(standby), context=contextvars.Context())

    async def end(self, standbys: Iterable[Standby]) -> None:
        """Check these no more, so that they can be closed."""
        tasks = [task for standby in standbys if (task := self._tasks.get(standby))]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, standby: Standby) -> None:
        pause = FIRST_SECONDS
        try:
            while standby.unfit is Unfit.LAGGING and pause < self._longest_seconds:
                await asyncio.sleep(pause)
                pause *= 2
                await self._check(standby)
        except LOST_ERRORS:
            pass  # without the primary's position there is nothing to check by
        finally:
            del self._tasks[standby]
