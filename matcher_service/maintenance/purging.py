"""Erasing what is past its time."""

import datetime

import asyncpg

from matcher_service.postgres.statements import load, of_collection

BATCH_EVENTS = 10_000
BATCH_PERSONS = 500  # a transaction's, so that nobody waits long for a person it holds


async def purge(connection: asyncpg.Connection, collection_id: str) -> tuple[int, int]:
    """Erase a collection's faces past their time, and who is left with none; counts faces and persons."""
    statements = of_collection(collection_id, "maintenance")
    locks = ["lock_expired_persons"]
    if await connection.fetchval(statements["has_retention"], collection_id):
        locks.append("lock_outlived_persons")
    faces = persons = 0
    for lock in locks:
        while gone := await _purge_some(connection, collection_id, statements[lock]):
            faces += gone["faces"]
            persons += gone["persons"]
    return faces, persons


async def _purge_some(connection: asyncpg.Connection, collection_id: str, lock: str) -> asyncpg.Record | None:
    """Erase what is past its time of those whom a statement locks; None where it locks nobody."""
    async with connection.transaction(isolation="read_committed"):
        held = await connection.fetch(lock, collection_id, BATCH_PERSONS)
        if not held:
            return None
        # A statement of its own: it sees what was committed before the lock was had.
        keys = [row["person_key"] for row in held]
        text = of_collection(collection_id, "maintenance")["purge"]
        return await connection.fetchrow(text, collection_id, keys)


async def forget_requests(connection: asyncpg.Connection, collection_id: str, days: int) -> None:
    """Delete a collection's request ids and ended imports of longer ago, 0 days for never."""
    if not days:
        return
    end = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    statements = of_collection(collection_id, "maintenance")
    for name in ("forget_requests", "forget_imports"):
        await connection.execute(statements[name], collection_id, end)


async def forget_audit(connection: asyncpg.Connection, change_days: int, decision_days: int) -> int:
    """Delete what was put on record longer ago, 0 days for never; counts events."""
    now = datetime.datetime.now(datetime.UTC)
    ends = [now - datetime.timedelta(days=days) if days else None for days in (change_days, decision_days)]
    if not any(ends):
        return 0
    forgotten = 0
    while gone := await connection.fetchval(load("maintenance")["forget_audit"], *ends, BATCH_EVENTS):
        forgotten += gone
    return forgotten
