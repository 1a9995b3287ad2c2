"""The queries of docs/operations.md: what `maintain` waits for, and long calls in progress."""

import re
from pathlib import Path

import asyncpg

from matcher_service.postgres.connections import owner as session

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def documented(title: str = "What maintain waits for") -> list[str]:
    """Each query of the section, by itself."""
    text = OPERATIONS.read_text(encoding="utf-8")
    (section,) = re.findall(rf"^### {title}\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```sql\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [query for block in blocks for query in block.split(";\n") if query.strip()]


async def test_the_documented_query_names_the_session_that_maintains(
    administrator: asyncpg.Connection, database_url: str
) -> None:
    holder, *_ = documented()
    assert await administrator.fetch(holder) == []
    maintaining = await asyncpg.connect(database_url)
    try:
        assert await session.try_maintenance_lock(maintaining)
        (found,) = await administrator.fetch(holder)
        assert found["pid"] == maintaining.get_server_pid()
    finally:
        await maintaining.close()


async def test_the_documented_queries_name_a_transaction_that_keeps_deleted_rows(
    administrator: asyncpg.Connection, database_url: str
) -> None:
    _, transactions, *others = documented()
    reading = await asyncpg.connect(database_url)
    try:
        async with reading.transaction(isolation="repeatable_read", readonly=True):
            await reading.fetch("SELECT 1")
            found = await administrator.fetch(transactions)
            assert reading.get_server_pid() in {row["pid"] for row in found}
    finally:
        await reading.close()
    assert len(others) == 3
    for query in others:
        assert await administrator.fetch(query) == []


async def test_the_documented_query_shows_long_calls(administrator: asyncpg.Connection) -> None:
    (query,) = documented("Long calls in progress")
    await administrator.execute("SET ROLE facerec_serve")
    for tag, lease in (("a", "1 hour"), ("b", "-1 hour")):
        await administrator.execute(
            "INSERT INTO facerec.operation"
            " (collection_id, request_tag, method, digest, run_id, lease_end_time)"
            " VALUES ('default', $1, 'Calibrate', '', gen_random_uuid(), now() + $2::text::interval)",
            tag.encode(),
            lease,
        )
    assert [row["running"] for row in await administrator.fetch(query)] == [False, True]
