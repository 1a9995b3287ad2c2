"""Removing what was erased from the tables' files: dead rows by vacuum, their bytes by a rewrite."""

import re
import time
from typing import Any

import asyncpg
import structlog

from matcher_service.maintenance.indexes import Builder
from matcher_service.maintenance.session import lock_wait
from matcher_service.queries import of_collection

MOMENT_SECONDS = 1.0  # a transaction that is younger will have ended
TRY_SECONDS = 1.0  # for each table, and everybody of the collection waits behind it

log = structlog.get_logger(__name__)

_REMAINING = re.compile(
    r"(\d+) are dead but not yet removable"
    r"|tuples missed: (\d+) dead"  # on pages that somebody was reading
    r"|(\d+) dead row versions cannot be removed yet"
)


async def vacuum(connection: asyncpg.Connection, collection_id: str) -> int:
    """Vacuum after erasures; returns how many of them now have no dead row left.

    Rows that an older snapshot can still see stay, an export's say, and so do those on a page that somebody
    is reading: the erasures are then left for the next run.
    """
    statements = of_collection(collection_id, "maintenance")
    rows = await connection.fetch(statements["list_unvacuumed"], collection_id)
    due = [row["erasure_id"] for row in rows]
    if not due:
        return 0
    if await _remaining(connection, statements["vacuum"]):
        log.info("vacuum_waits_for_a_snapshot", collection=collection_id)
        return 0
    await connection.execute(statements["note_vacuumed"], collection_id, due)
    return len(due)


async def scrub(connection: asyncpg.Connection, builder: Builder, collection_id: str) -> int:
    """Write the files anew after erasures; returns how many of them have no byte left there.

    Each table is locked against everybody while it is written, with its indexes. The one that searches go by
    takes the longest and is dropped before: until it is built anew, beside everybody, searches are exact.
    Nothing is done where nothing was erased, or where a snapshot still sees what was, or where somebody reads
    on for longer than a moment: that raises asyncpg.LockNotAvailableError.
    """
    statements = of_collection(collection_id, "maintenance")
    rows = await connection.fetch(statements["list_unscrubbed"], collection_id)
    due = [row["erasure_id"] for row in rows]
    if not due:
        return 0
    latest = min(row["age_seconds"] for row in rows)
    if await builder.count_old_transactions(collection_id, max(latest, MOMENT_SECONDS)):
        log.info("scrub_waits_for_a_snapshot", collection=collection_id)
        return 0
    async with lock_wait(connection, TRY_SECONDS), connection.transaction():
        await connection.execute(statements["lock_tables"])
    await builder.drop(collection_id)
    remaining = 0
    for table in ("rewrite_persons", "rewrite_faces"):
        began = time.monotonic()
        remaining += await _remaining(connection, statements[table])
        seconds = round(time.monotonic() - began, 2)
        log.info("rewritten", collection=collection_id, what=table, locked_seconds=seconds)
    if remaining:
        log.info("scrub_waits_for_a_snapshot", collection=collection_id)
        return 0
    await connection.execute(statements["note_scrubbed"], collection_id, due)
    return len(due)


async def _remaining(connection: asyncpg.Connection, statement: str) -> int:
    """Run a vacuum and read from what it tells how many dead rows others kept it from removing."""
    told: list[str] = []

    def listen(_: Any, message: Any) -> None:
        told.append(f"{message.message} {message.detail or ''}")

    connection.add_log_listener(listen)
    try:
        await connection.execute(statement)
    finally:
        connection.remove_log_listener(listen)
    found = [int(count) for line in told for counts in _REMAINING.findall(line) for count in counts if count]
    # A server that tells it in other words is not taken at a word it did not give.
    return sum(found) if found else 1
