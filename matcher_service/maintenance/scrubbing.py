"""Removes erased data from the tables' files: dead rows by vacuum, their bytes by a rewrite."""

import re
import time
from typing import Any

import structlog

from matcher_service.maintenance.indexes import IndexBuilder
from matcher_service.maintenance.sketches import SketchBuilder, detach
from matcher_service.postgres.connections.owner import lock_wait
from matcher_service.postgres.session import Connection, Session

YOUNG_SECONDS = 1.0  # younger transactions are expected to end in time
TRY_SECONDS = 1.0  # for each table's lock; the collection's calls wait behind it

log = structlog.get_logger(__name__)

_REMAINING = re.compile(
    r"(\d+) are dead but not yet removable"
    r"|tuples missed: (\d+) dead"  # on pages that another session was reading
    r"|(\d+) dead row versions cannot be removed yet"
)


async def vacuum(connection: Connection, collection_id: str) -> bool:
    """Vacuum after erasures; returns whether no dead row is left.

    Rows that an older snapshot can still see, such as an export's, stay, and so do those on a page that
    another session is reading: the erasures are then left to the next run.
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


async def scrub(
    connection: Connection, indexes: IndexBuilder, sketches: SketchBuilder, collection_id: str
) -> bool:
    """Rewrite the files after erasures; returns whether no erased byte is left in them.

    Each table is locked exclusively while it and its indexes are rewritten. The vector indexes take the
    longest to rewrite, so they are dropped first; until they are built again, concurrently, searches are
    exact. So are sketches, since their rotation was made of erased people too. Nothing is rewritten if
    nothing was erased, or if a snapshot can still see erased rows. Raises one of LOCK_ERRORS if a table
    cannot be locked within TRY_SECONDS. No erasure counts as scrubbed while the database's statistics hold
    persons, or held some and this login may not rewrite them.
    """
    session = Session(connection, collection_id, role="maintenance")
    rows = await session.rows("list_unscrubbed")
    due = [row["erasure_id"] for row in rows]
    if not due:
        return True
    latest = min(row["age_seconds"] for row in rows)
    if await indexes.count_old_transactions(collection_id, max(latest, YOUNG_SECONDS)):
        log.info("scrub_postponed", collection=collection_id)
        return False
    async with lock_wait(connection, TRY_SECONDS), session.transaction():
        await session.execute("lock_tables")
        await detach(session)
    for name in ("blank_requests", "clear_recent_enrollments"):
        await session.execute(name)
    await indexes.drop(collection_id)
    await sketches.delete(collection_id)
    if not (
        await _rewrite_tables(session)
        and await _rewrite_statistics(session)
        and await _statistics_are_clear(session)
    ):
        return False
    await session.execute("mark_scrubbed", erasure_ids=due)
    return True


async def _rewrite_tables(session: Session) -> bool:
    """Rewrite a collection's tables; returns whether no dead row is left in them."""
    remaining = 0
    for table in (
        "rewrite_persons",
        "rewrite_faces",
        "rewrite_requests",
        "rewrite_rotation",
        "rewrite_sketches",
    ):
        began = time.monotonic()
        remaining += await _remaining(session, table)
        seconds = round(time.monotonic() - began, 2)
        log.info("table_rewritten", collection=session.collection_id, what=table, locked_seconds=seconds)
    if remaining:
        log.info("scrub_postponed", collection=session.collection_id)
    return not remaining


async def _rewrite_statistics(session: Session) -> bool:
    """Rewrite the catalog of statistics; returns whether no dead row is left in it.

    It is locked for milliseconds, during which no statement is planned. facerec_owner has no right to it; the
    login has if it is a superuser or owns the database.
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
    """Whether the database's statistics contain no person of the collection."""
    columns = await session.rows("list_person_statistics")
    if columns:
        log.error(
            "statistics_persons_found",
            collection=session.collection_id,
            columns=[row["name"] for row in columns],
        )
    return not columns


async def _remaining(session: Session, statement: str) -> int:
    """Run a vacuum and read from its report how many dead rows it could not remove.

    Postgres reports the number only as text, in the language of lc_messages. A report that cannot be parsed
    counts as rows left, so that nothing is reported as erased by mistake.
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
