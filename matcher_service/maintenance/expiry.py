"""Erasing what has expired."""

import datetime

from matcher_service.postgres.session import Connection, Row, Session

BATCH_EVENTS = 10_000
BATCH_PERSONS = 500  # a transaction's, so that nobody waits long for a person it holds


async def erase_expired(connection: Connection, collection_id: str) -> tuple[int, int]:
    """Erase a collection's faces that have expired, and who is left with none; counts faces and persons."""
    session = Session(connection, collection_id, role="maintenance")
    locks = ["lock_expired_persons"]
    if await session.value("has_retention"):
        locks.append("lock_persons_past_retention")
    faces = persons = 0
    for lock in locks:
        while gone := await _erase_batch(session, lock):
            faces += gone["faces"]
            persons += gone["persons"]
    return faces, persons


async def _erase_batch(session: Session, lock: str) -> Row | None:
    """Erase what has expired of those whom a statement locks; None where it locks nobody."""
    async with session.transaction():
        held = await session.rows(lock, max_persons=BATCH_PERSONS)
        if not held:
            return None
        # A statement of its own: it sees what was committed before the lock was had.
        return await session.row("erase_expired", person_keys=[row["person_key"] for row in held])


async def delete_old_requests(connection: Connection, collection_id: str, days: int) -> None:
    """Delete a collection's request ids and ended imports of longer ago, 0 days for never."""
    if not days:
        return
    end = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    session = Session(connection, collection_id, role="maintenance")
    for name in ("delete_old_requests", "delete_old_imports"):
        await session.execute(name, before_time=end)


async def delete_old_audit_events(connection: Connection, change_days: int, decision_days: int) -> int:
    """Delete audit events of longer ago, 0 days for never; counts events."""
    now = datetime.datetime.now(datetime.UTC)
    ends = [now - datetime.timedelta(days=days) if days else None for days in (change_days, decision_days)]
    if not any(ends):
        return 0
    session, deleted = Session(connection, role="maintenance"), 0
    while gone := await session.value(
        "delete_old_audit_events", changes_before=ends[0], decisions_before=ends[1], max_rows=BATCH_EVENTS
    ):
        deleted += gone
    return deleted
