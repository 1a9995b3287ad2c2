"""Chooses the server that answers a read: a standby that has all that it must see, or else the primary."""

import asyncio
import collections
import contextlib
import contextvars
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Final

import asyncpg
import structlog

from matcher_service import metrics
from matcher_service.domain.errors import ReadInterrupted
from matcher_service.domain.status import StandbyStatus
from matcher_service.postgres.connections.pools import DatabaseOptions
from matcher_service.postgres.driver_errors import LOST_ERRORS
from matcher_service.postgres.session import Connection
from matcher_service.postgres.standbys.positions import Position, Unfit
from matcher_service.postgres.standbys.read_index import ReadIndex
from matcher_service.postgres.standbys.rechecks import Rechecks
from matcher_service.postgres.standbys.standby import ReadKind, Standby, StandbyUnfit
from matcher_service.postgres.standbys.urls import ReadUrls

log = structlog.get_logger(__name__)

_failed: Final[contextvars.ContextVar[frozenset[str]]] = contextvars.ContextVar("failed", default=frozenset())
"""The URLs of the standbys that failed the current call, which goes on elsewhere."""


class ReadRouter:
    """Lends a standby's connection for a read, and checks the standbys every `standby_check_seconds`.

    A read sees all that was committed before it began, as on the primary; one with `max_staleness` all that
    was committed so many seconds before. The primary's position is asked for as often as standbys are
    checked, so that a recent one is known if the primary is lost while nobody reads.
    """

    def __init__(
        self, options: DatabaseOptions, connect: Callable[[], Awaitable[asyncpg.Connection]]
    ) -> None:
        """`connect` opens a connection to the primary. Raises UrlInvalid."""
        self._options = options
        self._urls = ReadUrls(options.read_urls, options.read_urls_file)
        self._index = ReadIndex(connect, max_age_seconds=options.max_staleness_seconds)
        self._tasks: list[asyncio.Task[None]] = []
        self._rechecks = Rechecks(self._recheck, longest_seconds=options.standby_check_seconds)
        self.standbys = [
            Standby(number, url, options) for number, url in enumerate(self._urls.texts, start=1)
        ]
        for reason in Unfit:
            metrics.FALLBACKS.labels(reason)  # shown as 0 before the first one

    def start(self) -> None:
        """Start checking the standbys, unless that was started."""
        if not self._tasks and (self.standbys or self._options.read_urls_file):
            self._tasks = [
                asyncio.create_task(each, context=contextvars.Context())
                for each in (self._run(), self._learn())
            ]

    def renew(self) -> None:
        """Ask another connection for the primary's position: the primary may be another one."""
        self._index.renew()

    async def close(self) -> None:
        """Close every connection; those in use have some seconds to finish."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._rechecks.end(self.standbys)
        await self._index.close()
        await asyncio.gather(*(standby.close() for standby in self.standbys))

    @contextlib.asynccontextmanager
    async def connection(
        self,
        kind: ReadKind,
        *,
        max_staleness: float | None = None,
        callers: Collection[str] = (),
        long: bool = False,
    ) -> AsyncIterator[tuple[Standby, Connection] | None]:
        """A standby and its connection, or None where the primary is to answer.

        Raises Overloaded, what the driver raises for the primary, and ReadInterrupted while it is used.
        """
        found = None
        consistency = "fresh" if max_staleness is None else "bounded"
        try:
            async with contextlib.AsyncExitStack() as stack:
                found = await self._find(stack, kind, max_staleness, callers, long)
                metrics.READS.labels("standby" if found else "primary", consistency).inc()
                yield found
        except ReadInterrupted:
            if found:
                _failed.set(_failed.get() | {found[0].url})
            raise

    async def can_read_without_primary(self) -> bool:
        """Whether a standby could answer reads with the most staleness allowed, while none is connected to
        the primary: if one is, only this process is cut off, and others answer all calls.
        """
        await self._check_by_memory()
        usable = [each for each in self.standbys if each.usable(bounded=True)]
        ages = [self._index.history.staleness_seconds(each.replayed) for each in usable]
        connected = any(each.streaming for each in usable)
        return not connected and min(ages, default=math.inf) <= self._options.max_staleness_seconds

    def statuses(self) -> list[StandbyStatus]:
        """Each standby, as it was last checked."""
        return [standby.status(self._index.history) for standby in self.standbys]

    async def _find(
        self,
        stack: contextlib.AsyncExitStack,
        kind: ReadKind,
        max_staleness: float | None,
        callers: Collection[str],
        long: bool,
    ) -> tuple[Standby, Connection] | None:
        """The first standby that is fit: those that do not lag first, and with the fewest reads in flight.

        One that has all of it already comes before any that would have to be waited for.
        """
        bounded = max_staleness is not None
        usable = [each for each in self.standbys if each.usable(bounded=bounded)]
        usable = [each for each in usable if each.url not in _failed.get()]
        if not usable or (position := await self._required(max_staleness)) is None:
            return None
        ranked = sorted(usable, key=lambda each: (each.unfit is not None, each.in_flight))
        queue = collections.deque((each, len(ranked) == 1) for each in ranked)
        while queue:
            standby, waits = queue.popleft()
            lent = standby.connection(kind, position, waits=waits, callers=callers, long=long)
            try:
                return standby, await stack.enter_async_context(lent)
            except StandbyUnfit as unfit:
                if unfit.reason is Unfit.LAGGING and not waits:
                    queue.append((standby, True))
                else:
                    self._exclude(standby, unfit.reason)
        return None

    async def _required(self, max_staleness: float | None) -> Position | None:
        """What a read that begins now must have; None if nobody knows, as the primary does not answer."""
        history = self._index.history
        if max_staleness is not None and (position := history.within(max_staleness)) is not None:
            return position
        try:
            return await self._index.position()
        except LOST_ERRORS:  # a connection to the primary may still be had, or is refused with a reason
            return None

    def _exclude(self, standby: Standby, reason: Unfit) -> None:
        metrics.FALLBACKS.labels(reason).inc()
        standby.exclude(reason)
        if reason is Unfit.LAGGING:
            self._rechecks.begin(standby)

    async def _run(self) -> None:
        failed = ""
        while True:
            try:
                await self._check()
                failed = ""
            except Exception as error:  # the primary does not say where its log ends
                if failed != (failed := type(error).__name__):
                    log.warning("standbys_not_checked", why=failed)
            await asyncio.sleep(self._options.standby_check_seconds)

    async def _learn(self) -> None:
        """Keep a recent position in memory, however long a check of the standbys takes."""
        while True:
            with contextlib.suppress(Exception):  # `_run` reports it
                await self._index.position()
            await asyncio.sleep(self._options.standby_check_seconds)

    async def _check(self) -> None:
        if self._urls.refresh():
            await self._replace()
        try:
            await self._check_standbys(await self._index.position())
        except LOST_ERRORS:
            await self._check_by_memory()
            raise

    async def _check_by_memory(self) -> None:
        """Check without the primary: a standby that was lost is to be used again all the same."""
        if (position := self._index.history.newest) is not None:
            await self._check_standbys(position)

    async def _check_standbys(self, position: Position) -> None:
        history = self._index.history
        await asyncio.gather(*(standby.check(position, history) for standby in self.standbys))

    async def _recheck(self, standby: Standby) -> None:
        await standby.check(await self._index.position(), self._index.history)

    async def _replace(self) -> None:
        """Use the standbys of other URLs, and go on with those that are among them too."""
        kept = {standby.url: standby for standby in self.standbys}
        number = max((standby.number for standby in self.standbys), default=0)
        standbys = []
        for url in self._urls.texts:
            if (standby := kept.pop(url, None)) is None:
                number += 1
                standby = Standby(number, url, self._options)
            standbys.append(standby)
        self.standbys = standbys
        await self._rechecks.end(kept.values())
        await asyncio.gather(*(standby.close() for standby in kept.values()))
