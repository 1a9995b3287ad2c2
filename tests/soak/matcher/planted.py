"""Two deliberate faults, each of which the soak must detect.

Run as `python -m tests.soak.matcher.planted serve`, a matcher acknowledges before it commits. The other
fault is a caller's: it forgets the request id when it tries again.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import ClassVar

from matcher_service import commands, service
from matcher_service.postgres.database import Database, Session
from tests.soak.matcher.caller import Caller

EARLY_SECONDS = 0.1


class EarlyDatabase(Database):
    """Answers the caller just before the commit."""

    _commits: ClassVar[set[asyncio.Task[None]]] = set()

    @contextlib.asynccontextmanager
    async def transaction(self, collection_id: str) -> AsyncIterator[Session]:
        """A transaction that is left open when the work in it is done."""
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(self.session(collection_id))
            await stack.enter_async_context(session.transaction())
            yield session
            commit = asyncio.create_task(self._commit(stack.pop_all()))
            self._commits.add(commit)
            commit.add_done_callback(self._commits.discard)

    @staticmethod
    async def _commit(open_transaction: contextlib.AsyncExitStack) -> None:
        await asyncio.sleep(EARLY_SECONDS)
        await open_transaction.aclose()


class ForgetfulCaller(Caller):
    """Retries without the request id of the first attempt."""

    def retry_id(self, request_id: str) -> str:
        """No request id at all."""
        return ""


if __name__ == "__main__":
    service.Database = EarlyDatabase  # type: ignore[attr-defined]
    sys.exit(commands.main(sys.argv[1:]))
