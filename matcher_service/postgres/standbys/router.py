"""Chooses the server that answers a read: a standby that has all that is committed, or else the primary."""

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Final

import asyncpg
import structlog

from matcher_service import metrics
from matcher_service.domain.errors import ReadInterrupted
from matcher_service.postgres.connections.pools import DatabaseOptions
from matcher_service.postgres.driver_errors import LOST_ERRORS
from matcher_service.postgres.session import Connection
from matcher_service.postgres.standbys.positions import Unfit
from matcher_service.postgres.standbys.read_index import ReadIndex
from matcher_service.postgres.standbys.standby import ReadKind, Standby, StandbyUnfit
from matcher_service.postgres.standbys.urls import ReadUrls

log = structlog.get_logger(__name__)

_failed: Final[contextvars.ContextVar[frozenset[str]]] = contextvars.ContextVar("failed", default=frozenset())
"""The URLs of the standbys that failed the current call, which goes on elsewhere."""


class ReadRouter:
    """Lends a standby's connection for a read, and checks the standbys every `standby_check_seconds`.

    A read is as fresh as on the primary: it has all that was committed before it began.
    """

    def __init__(
        self, options: DatabaseOptions, connect: Callable[[], Awaitable[asyncpg.Connection]]
    ) -> None:
        """`connect` opens a connection to the primary. Raises UrlInvalid."""
        self._options = options
        self._urls = ReadUrls(options.read_urls, options.read_urls_file)
        self._index = ReadIndex(connect)
        self._checking: asyncio.Task[None] | None = None
        self.standbys = [
            Standby(number, url, options) for number, url in enumerate(self._urls.texts, start=1)
        ]
        for reason in Unfit:
            metrics.FALLBACKS.labels(reason)  # shown as 0 before the first one

    def start(self) -> None:
        """Start checking the standbys, unless that was started."""
        if self._checking is None and (self.standbys or self._options.read_urls_file):
            self._checking = asyncio.create_task(self._run(), context=contextvars.Context())

    def renew(self) -> None:
        """Ask another connection for the primary's position: the primary may be another one."""
        self._index.renew()

    async def close(self) -> None:
        """Close every connection; those in use have some seconds to finish."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)
        await self._index.close()
        await asyncio.gather(*(standby.close() for standby in self.standbys))

    @contextlib.asynccontextmanager
    async def connection(
        self, kind: ReadKind, *, callers: Collection[str] = (), long: bool = False
    ) -> AsyncIterator[tuple[Standby, Connection] | None]:
        """A standby and its connection, or None where the primary is to answer.

        Raises Overloaded, what the driver raises for the primary, and ReadInterrupted while it is used.
        """
        found = None
        try:
            async with contextlib.AsyncExitStack() as stack:
                found = await self._find(stack, kind, callers, long)
                (metrics.STANDBY_READS if found else metrics.PRIMARY_READS).inc()
                yield found
        except ReadInterrupted:
            if found:
                _failed.set(_failed.get() | {found[0].url})
            raise

    async def _find(
        self, stack: contextlib.AsyncExitStack, kind: ReadKind, callers: Collection[str], long: bool
    ) -> tuple[Standby, Connection] | None:
        """The first standby that is fit, those with the fewest reads in flight first."""
        usable = [each for each in self.standbys if each.unfit is None and each.url not in _failed.get()]
        if not usable:
            return None
        try:
            position = await self._index.position()
        except LOST_ERRORS:  # a connection to the primary may still be had, or is refused with a reason
            return None
        for standby in sorted(usable, key=lambda each: each.in_flight):
            lent = standby.connection(kind, position, callers=callers, long=long)
            try:
                connection = await stack.enter_async_context(lent)
            except StandbyUnfit as unfit:
                metrics.FALLBACKS.labels(unfit.reason).inc()
                standby.exclude(unfit.reason)
            else:
                return standby, connection
        return None

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

    async def _check(self) -> None:
        if self._urls.refresh():
            await self._replace()
        position = await self._index.position()
        await asyncio.gather(*(standby.check(position) for standby in self.standbys))

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
        await asyncio.gather(*(standby.close() for standby in kept.values()))
