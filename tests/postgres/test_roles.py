"""What the serving role may do, and that every session of the service is that role."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from matcher_service.postgres.database import Database, DatabaseOptions
from matcher_service.postgres.statements import partition_name
from tests.fixtures.postgres import as_user


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The service's own pool, opened by a superuser's URL."""
    database = Database(DatabaseOptions(database_url, pool_min_size=1))
    assert await database.check() == ""
    yield database
    await database.close()


FACES = partition_name("face", "default")
FORBIDDEN = [
    "CREATE TABLE facerec.mine (id int)",
    "CREATE TABLE public.mine (id int)",
    "CREATE SCHEMA mine",
    f"DROP TABLE facerec.{FACES}",
    f"ALTER TABLE facerec.{FACES} NO INHERIT facerec.face",
    "ALTER TABLE facerec.person ADD COLUMN note text",
    "CREATE INDEX ON facerec.person (display_name)",
    "TRUNCATE facerec.face",
    "TRUNCATE facerec.person CASCADE",
    "CREATE ROLE mine",
    "GRANT facerec_owner TO facerec_serve",
    "SET SESSION AUTHORIZATION facerec_owner",
    "INSERT INTO facerec.schema_migration VALUES (99, 'mine', '')",
    "UPDATE facerec.collection SET space = 'mine'",
    "DELETE FROM facerec.collection",
    "INSERT INTO facerec.collection (collection_id, space) VALUES ('mine', 'mine')",
    "UPDATE facerec.collection SET index_effort = 1",
    "INSERT INTO facerec.index_build (collection_id, phase) VALUES ('mine', '')",
    "SELECT facerec.add_partitions('mine')",
    "DELETE FROM facerec.model",
    "SELECT * FROM facerec.face",
    "SELECT * FROM facerec.person",
    f"TRUNCATE facerec.{FACES}",
    "SELECT * FROM pg_authid",
    "SELECT pg_read_file('/etc/hostname')",
    "COPY facerec.face TO PROGRAM 'cat'",
]


@pytest.fixture
async def plain_login(database_url: str) -> AsyncIterator[str]:
    """The URL of a login that is a member of the serving role and nothing else."""
    administrator = await asyncpg.connect(database_url)
    await administrator.execute("CREATE ROLE plain_server LOGIN IN ROLE facerec_serve")
    yield as_user(database_url, "plain_server")
    await administrator.execute("DROP ROLE plain_server")
    await administrator.close()


async def test_the_serving_role_runs_no_ddl_and_reads_only_what_it_serves(plain_login: str) -> None:
    connection = await asyncpg.connect(plain_login)
    try:
        for statement in FORBIDDEN:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
                pytest.fail(f"allowed: {statement}")
    finally:
        await connection.close()


async def test_a_plain_member_of_the_serving_role_can_serve(plain_login: str) -> None:
    database = Database(DatabaseOptions(plain_login))
    try:
        assert await database.check() == ""
    finally:
        await database.close()


async def test_a_session_of_the_service_has_the_serving_role_for_any_login(database: Database) -> None:
    async with database.session() as session:
        connection = session.connection
        row = await connection.fetchrow(
            "SELECT current_user AS role, current_setting('jit') AS jit,"
            " current_setting('lock_timeout') AS locks, current_setting('statement_timeout') AS statements"
        )
        assert row is not None
        assert tuple(row) == ("facerec_serve", "off", "3s", "10s")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DROP TABLE facerec.face")


async def test_a_login_outside_the_serving_role_is_refused_with_the_role_it_needs(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE ROLE outsider LOGIN")
    database = Database(DatabaseOptions(as_user(database_url, "outsider")))
    try:
        assert "facerec_serve" in await database.check()
    finally:
        await database.close()
        await connection.execute("DROP ROLE outsider")
        await connection.close()
