"""Removing what was erased from the tables' files: dead rows by vacuum, their bytes by a rewrite."""

import re
import time
from typing import Any

import structlog

from matcher_service.maintenance.indexes import IndexBuilder
from matcher_service.postgres.connections.owner import lock_wait
from matcher_service.postgres.session import Connection, Session

YOUNG_SECONDS = 1.0  # a transaction that is younger will have ended
TRY_SECONDS = 1.0  # for each table, and everybody of the collection waits behind it

log = structlog.get_logger(__name__)

_REMAINING = re.compile(
    r"(\d+) are dead but not yet removable"
    r"|tuples missed: (\d+) dead"  # on pages that somebody was reading
    r"|(\d+) dead row versions cannot be removed yet"
)


async def vacuum(connection: Connection, collection_id: str) -> bool:
    """Vacuum after erasures; returns whether none of them has a dead row left.

    Rows that an older snapshot can still see stay, an export's say, and so do those on a page that somebody
    is reading: the erasures are then left for the next run.
    """
    session = Session(connection, collection_id, role="maintenance")
    rows = await session.rows("list_unvacuumed")
    due = [row["erasure_id"] for row in rows]
    if not due:
        return True
    for name in ("blank_requests", "clear_recent_enrollments"):
        await session.execute(name)
    if await _remaining(session, "vacuum"):
        log.info("vacuum_postponed", collection=collection_id)
        return False
    await session.execute("mark_vacuumed", erasure_ids=due)
    return True


async def scrub(connection: Connection, builder: IndexBuilder, collection_id: str) -> bool:
    """Write the files anew after erasures; returns whether none of them has a byte left there.

    Each table is locked against everybody while it is written, with its indexes. The one that searches go by
    takes the longest and is dropped before: until it is built anew, beside everybody, searches are exact.
    Nothing is done where nothing was erased, or where a snapshot still sees what was, or where somebody reads
    on for longer than TRY_SECONDS: that raises one of LOCK_ERRORS. None counts as scrubbed where the
    database's statistics hold persons, or held some and may not be written anew by this login.
    """
    session = Session(connection, collection_id, role="maintenance")
    rows = await session.rows("list_unscrubbed")
    due = [row["erasure_id"] for row in rows]
    if not due:
        return True
    latest = min(row["age_seconds"] for row in rows)
    if await builder.count_old_transactions(collection_id, max(latest, YOUNG_SECONDS)):
        log.info("scrub_postponed", collection=collection_id)
        return False
    async with lock_wait(connection, TRY_SECONDS), connection.transaction():
        await session.execute("lock_tables")
    for name in ("blank_requests", "clear_recent_enrollments"):
        await session.execute(name)
    await builder.drop(collection_id)
    if not (
        await _rewrite_tables(session)
        and await _rewrite_statistics(session)
        and await _statistics_are_clear(session)
    ):
        return False
    await session.execute("mark_scrubbed", erasure_ids=due)
    return True


async def _rewrite_tables(session: Session) -> bool:
    """Write a collection's tables anew; whether no dead row is left in them."""
    remaining = 0
    for table in ("rewrite_persons", "rewrite_faces", "rewrite_requests"):
        began = time.monotonic()
        remaining += await _remaining(session, table)
        seconds = round(time.monotonic() - began, 2)
        log.info("table_rewritten", collection=session.collection_id, what=table, locked_seconds=seconds)
    if remaining:
        log.info("scrub_postponed", collection=session.collection_id)
    return not remaining


async def _rewrite_statistics(session: Session) -> bool:
    """Write the catalog of statistics anew; whether no dead row is left in it.

    Meanwhile, for milliseconds, nobody plans a statement. The owner of our tables has no right to it: the
    login has, where it is a superuser or owns the database.
    """
    connection = session.connection
    before = await session.value("statistics_file")
    await connection.execute("SET ROLE NONE")
    try:
        async with lock_wait(connection, TRY_SECONDS):
            remaining = await _remaining(session, "rewrite_statistics")
    finally:
        await connection.execute("SET ROLE facerec_owner")
    if await session.value("statistics_file") == before:
        log.error("scrub_permission_denied", collection=session.collection_id, on="pg_catalog.pg_statistic")
        return False
    if remaining:
        log.info("scrub_postponed", collection=session.collection_id)
    return not remaining


async def _statistics_are_clear(session: Session) -> bool:
    """Whether the database's statistics hold no person of the collection."""
    held = await session.rows("list_person_statistics")
    if held:
        log.error(
            "statistics_persons_found",
            collection=session.collection_id,
            columns=[row["name"] for row in held],
        )
    return not held


async def _remaining(session: Session, statement: str) -> int:
    """Run a vacuum and read from its report how many dead rows others kept it from removing.

    Postgres reports it in prose alone, in the language of lc_messages. A report in other words counts as
    rows left: nothing is called erased by a word that was not understood.
    """
    report: list[Any] = []

    def listen(_: Any, message: Any) -> None:
        report.append(message)

    connection = session.connection
    connection.add_log_listener(listen)
    try:
        await session.execute(statement)
    finally:
        connection.remove_log_listener(listen)
    lines = [f"{message.message} {message.detail or ''}" for message in report]
    found = [int(count) for line in lines for counts in _REMAINING.findall(line) for count in counts if count]
    if not found and any(message.severity_en == "INFO" for message in report):
        language = await connection.fetchval("SHOW lc_messages")
        log.error("vacuum_report_unparsed", lc_messages=language, needs="C")
    return sum(found) if found else 1
