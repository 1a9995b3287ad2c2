"""The database of the gallery: the embedded server's, made ready, or the caller's own, looked over."""

import asyncio

import asyncpg

from facerec.local.errors import DatabaseUnusable
from facerec.local.postgres import EmbeddedPostgres

NAME = "facerec"
LOGIN_ROLE = "facerec_matcher"
OLDEST_POSTGRES = 15
OLDEST_PGVECTOR = (0, 8, 4)  # earlier ones corrupt HNSW indexes on vacuum
CONNECT_SECONDS = 5.0


def create(server: EmbeddedPostgres) -> str:
    """Make the database in the embedded server if need be; return its URL for migrating."""
    asyncio.run(_create(server.url()))
    return server.url(NAME)


def create_login(server: EmbeddedPostgres) -> str:
    """Make the login that serves and owns nothing, once migrated; return the URL for serving."""
    asyncio.run(_create_login(server.url(NAME)))
    return server.url(NAME, LOGIN_ROLE)


def check(url: str) -> None:
    """Raise DatabaseUnusable unless `url` leads to a PostgreSQL that can hold a gallery."""
    asyncio.run(_check(url))


async def _create(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", NAME):
            await connection.execute(f"CREATE DATABASE {NAME}")
    finally:
        await connection.close()


async def _create_login(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", LOGIN_ROLE
        ):
            await connection.execute(f"CREATE ROLE {LOGIN_ROLE} LOGIN IN ROLE facerec_serve")
    finally:
        await connection.close()


async def _check(url: str) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await asyncpg.connect(url)
    except TimeoutError:
        raise DatabaseUnusable(
            f"--database-url: no answer from the database in {CONNECT_SECONDS:.0f} s"
        ) from None
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnusable(f"--database-url: cannot connect: {' '.join(str(error).split())}") from None
    try:
        version = connection.get_server_version().major
        if version < OLDEST_POSTGRES:
            raise DatabaseUnusable(
                f"PostgreSQL {version} is too old: facerec needs {OLDEST_POSTGRES} or newer"
            )
        pgvector = await connection.fetchval(
            "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions"
            " WHERE name = 'vector'"
        )
    finally:
        await connection.close()
    if pgvector is None:
        raise DatabaseUnusable(
            f"the PostgreSQL server has no pgvector: install it there (such as the package "
            f"postgresql-{version}-pgvector), or leave --database-url out for the embedded server"
        )
    if tuple(int(part) for part in pgvector.split(".")) < OLDEST_PGVECTOR:
        oldest = ".".join(map(str, OLDEST_PGVECTOR))
        raise DatabaseUnusable(
            f"pgvector {pgvector} is too old: facerec needs {oldest} or newer (after installing it, "
            "ALTER EXTENSION vector UPDATE)"
        )
