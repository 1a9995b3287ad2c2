"""One run of an operation: its lease in the database, and the answer that ends it."""

import datetime
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from matcher_service.postgres.database import Database, Session

LEASE: Final = datetime.timedelta(seconds=15)
"""How long a replica may be silent before another takes its operation over."""
RENEWAL_SECONDS: Final = 4.0  # three renewals may fail within a lease

Finish: TypeAlias = Callable[[Session, bytes], Awaitable[None]]
"""Stores the answer in a transaction of the work's: what the work changes and its answer are stored together,
or neither. Raises RunLost.
"""
Work: TypeAlias = Callable[[Finish], Awaitable[object]]
"""Does the work, and calls `Finish` once in its last transaction."""


class RunLost(Exception):
    """The operation is no longer this run's: another replica runs it, or its collection was deleted."""


@dataclass(frozen=True)
class Operation:
    """Work that a caller names by a request id: `method` is its RPC, `digest` the SHA-256 of the request."""

    collection_id: str
    request_id: str
    method: str
    digest: bytes


@dataclass(frozen=True)
class Run:
    """A run of an operation. Every method also raises StoreUnavailable and Overloaded."""

    database: Database
    operation: Operation
    run_id: uuid.UUID = field(default_factory=uuid.uuid4)

    async def claim(self) -> bool:
        """Begin; False if the operation has an answer, or a run whose lease has not ended."""
        operation = self.operation
        row = await self.database.row(
            "claim_operation",
            operation.collection_id,
            request_id=operation.request_id,
            method=operation.method,
            digest=operation.digest,
            run_id=self.run_id,
            lease=LEASE,
        )
        return row is not None

    async def renew(self) -> bool:
        """Extend the lease; False if the operation is no longer this run's."""
        return await self._row("renew_operation", lease=LEASE)

    async def finish(self, session: Session, answer: bytes) -> None:
        """Store the answer in the session's transaction. Raises RunLost."""
        request_id = self.operation.request_id
        row = await session.row("finish_operation", request_id=request_id, run_id=self.run_id, answer=answer)
        if row is None:
            raise RunLost

    async def forget(self) -> None:
        """Remove the operation if this run has it without an answer: asked again, it is a new one."""
        await self._row("forget_operation")

    async def _row(self, name: str, **values: object) -> bool:
        operation = self.operation
        row = await self.database.row(
            name, operation.collection_id, request_id=operation.request_id, run_id=self.run_id, **values
        )
        return row is not None
