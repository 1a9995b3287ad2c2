"""Erases expired faces, old requests and old audit events."""

import datetime

from matcher_service.postgres.session import Connection, Row, Session

BATCH_EVENTS = 10_000
BATCH_PERSONS = 500  # of one transaction, so that calls do not wait long for its locks


async def erase_expired(connection: Connection, collection_id: str) -> tuple[int, int]:
    """Erase a collection's expired faces and persons left without a face; returns the counts of both."""
    session = Session(connection, collection_id, role="maintenance")
    locks = ["lock_expired_persons"]
    if await session.value("has_retention"):
        locks.append("lock_persons_past_retention")
    faces = persons = 0
    for lock in locks:
        while deleted := await _erase_batch(session, lock):
            faces += deleted["faces"]
            persons += deleted["persons"]
    return faces, persons


async def _erase_batch(session: Session, lock: str) -> Row | None:
    """Erase the expired faces of the persons that a statement locks; None if it locks nobody."""
    async with session.transaction():
        locked = await session.rows(lock, max_persons=BATCH_PERSONS)
        if not locked:
            return None
        # A separate statement, so that it sees what was committed before the lock was acquired.
        return await session.row("erase_expired", person_keys=[row["person_key"] for row in locked])


async def delete_old_requests(connection: Connection, collection_id: str, days: int) -> None:
    """Delete a collection's request ids and imports older than `days`; 0 keeps them for ever."""
    if not days:
        return
    end = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    session = Session(connection, collection_id, role="maintenance")
    for name in ("delete_old_requests", "delete_old_imports"):
        await session.execute(name, before_time=end)


async def delete_old_operations(connection: Connection, days: int) -> None:
    """Delete the request ids and answers of long work that was begun more than `days` ago; 0 keeps them."""
    if days:
        end = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
        await Session(connection, role="maintenance").execute("delete_old_operations", before_time=end)


async def delete_old_audit_events(connection: Connection, change_days: int, decision_days: int) -> int:
    """Delete audit events older than these days, 0 keeps them for ever; returns the number of events."""
    now = datetime.datetime.now(datetime.UTC)
    ends = [now - datetime.timedelta(days=days) if days else None for days in (change_days, decision_days)]
    if not any(ends):
        return 0
    session, deleted = Session(connection, role="maintenance"), 0
    while batch := await session.value(
        "delete_old_audit_events", changes_before=ends[0], decisions_before=ends[1], max_rows=BATCH_EVENTS
    ):
        deleted += batch
    return deleted
