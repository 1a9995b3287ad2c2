"""The readiness check's connection answers in time, also when it was lost."""

import asyncio
import functools
from collections.abc import Iterator

import asyncpg
import pytest

from matcher_service.postgres.connections import check_connection
from matcher_service.postgres.connections.check_connection import CheckConnection


@pytest.fixture
def checking(database_url: str) -> Iterator[CheckConnection]:
    connection = CheckConnection(functools.partial(asyncpg.connect, database_url))
    yield connection


async def backend(connection: asyncpg.Connection) -> int:
    pid: int = await connection.fetchval("SELECT pg_backend_pid()")
    return pid


async def test_one_connection_is_kept_and_replaced_when_it_is_lost(
    checking: CheckConnection, administrator: asyncpg.Connection
) -> None:
    first = await checking.run(backend)
    assert await checking.run(backend) == first
    await administrator.execute("SELECT pg_terminate_backend($1)", first)
    assert await checking.run(backend) != first
    checking.close()


async def test_a_check_times_out_if_no_answer_comes(
    checking: CheckConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await checking.run(backend)
    asked = []

    async def for_ever(connection: asyncpg.Connection) -> None:
        asked.append(await backend(connection))
        await connection.execute("SELECT pg_sleep(3600)")

    with monkeypatch.context() as context:
        context.setattr(check_connection, "CHECK_SECONDS", 0.5)
        with pytest.raises(TimeoutError):
            await checking.run(for_ever)
    assert asked[0] == first
    assert len(asked) == 2  # and once more over a new one
    assert await checking.run(backend) not in asked
    checking.close()
    await asyncio.sleep(0)
