"""What long work stores beside its own result, in the same transaction."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from matcher_service.postgres.database import Session

T = TypeVar("T")
Record: TypeAlias = Callable[[Session, T], Awaitable[None]]
"""Stores more about a result, in the transaction of the session that stores it."""


async def record_nothing(session: Session, result: object) -> None:
    """Store nothing more."""
