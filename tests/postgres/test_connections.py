"""Connections of the pools, as the server sees them."""

import re

from matcher_service.postgres.connections.pools import DatabaseOptions, Pools


async def test_no_two_processes_name_prepared_statements_alike(database_url: str) -> None:
    pools = Pools(DatabaseOptions(url=database_url, pool_min_size=1))
    try:
        calls = await pools.open()
        async with calls.acquire() as connection:
            names = await connection.fetchval("SELECT array_agg(name) FROM pg_prepared_statements")
    finally:
        await pools.close()
    found = [re.fullmatch(r"__asyncpg_stmt_[0-9a-f]+__([0-9a-f]{16})", name) for name in names]
    assert all(found)
    assert len({each[1] for each in found if each}) == 1
