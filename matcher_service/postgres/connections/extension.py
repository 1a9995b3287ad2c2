"""Checks the server: its version, its encoding, and pgvector in a schema that the roles can use."""

import re

import asyncpg

from facerec.serving.server.errors import StartError
from matcher_service.postgres.session import Connection

MIN_SERVER_VERSION = 15
MIN_PGVECTOR = (0, 8, 4)  # 0.8.2 fixes a build overflow, 0.8.3 and 0.8.4 an index corrupted by vacuum

_INSTALLED = """
SELECT e.extversion, n.nspname
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'vector'
"""


class DatabaseUnfit(StartError):
    """The database lacks something that only its administrator can add; the message says what."""


async def check_server(connection: Connection) -> None:
    """Raises DatabaseUnfit for a Postgres too old or a database that is not UTF-8."""
    major = connection.get_server_version().major
    if major < MIN_SERVER_VERSION:
        raise DatabaseUnfit(f"Postgres {MIN_SERVER_VERSION} or newer is needed; this is {major}")
    encoding = await connection.fetchval(
        "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"
    )
    if encoding != "UTF8":
        raise DatabaseUnfit(f"a database of encoding UTF8 is needed; this one is {encoding}")


async def check_extension(connection: Connection, *, create: bool = False) -> str:
    """Return the schema of pgvector; with `create`, creates the extension if it is missing.

    Raises DatabaseUnfit if it is missing, too old, or may not be created.
    """
    found = await connection.fetch(_INSTALLED)
    if not found:
        await _check_offered(connection)
        if not create:
            raise DatabaseUnfit("the database has no pgvector yet: run `matcher_service migrate`")
        await _create(connection)
        found = await connection.fetch(_INSTALLED)
    [row] = found
    if not _is_new_enough(row["extversion"]):
        raise DatabaseUnfit(
            f"pgvector {_needed()} or newer is needed and the database has {row['extversion']}: "
            f"{_how_to_install(connection)}, then let a superuser run ALTER EXTENSION vector UPDATE in this "
            "database"
        )
    return str(row["nspname"])


def server_version(connection: Connection) -> str:
    """The server's version, such as `15.20 (Debian 15.20-1)`."""
    return str(connection.get_settings().server_version)


async def check_usage(connection: Connection, schema: str, *roles: str) -> None:
    """Raises DatabaseUnfit if a role may not use pgvector's schema, and so not the type `vector`."""
    lacking = await connection.fetch(
        "SELECT quote_ident(r.rolname) AS role, quote_ident(n.nspname) AS schema "
        "FROM pg_roles r, pg_namespace n "
        "WHERE r.rolname = ANY($1) AND n.nspname = $2 AND NOT has_schema_privilege(r.oid, n.oid, 'USAGE')",
        list(roles),
        schema,
    )
    if lacking:
        named, names = lacking[0]["schema"], ", ".join(row["role"] for row in lacking)
        raise DatabaseUnfit(
            f"pgvector is in the schema {named}, which {names} may not use: let its owner run "
            f"GRANT USAGE ON SCHEMA {named} TO {names} in this database"
        )


async def set_search_path(connection: Connection, schema: str, *, local: bool = False) -> None:
    """Add pgvector's schema to the search path; `local` until the transaction ends."""
    await connection.execute("SELECT set_config('search_path', quote_ident($1), $2)", schema, local)


async def _check_offered(connection: Connection) -> None:
    """Raises DatabaseUnfit if the server's pgvector package is missing or too old."""
    offered = await connection.fetchval(
        "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"
    )
    if offered is None or not _is_new_enough(offered):
        has = "no pgvector" if offered is None else f"pgvector {offered}, and {_needed()} or newer is needed"
        raise DatabaseUnfit(
            f"this Postgres server ({server_version(connection)}) has {has}: {_how_to_install(connection)}, "
            "then run this again"
        )


def _needed() -> str:
    return ".".join(map(str, MIN_PGVECTOR))


def _is_new_enough(version: str) -> bool:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3]) >= MIN_PGVECTOR


def _how_to_install(connection: Connection) -> str:
    major = connection.get_server_version().major
    return (
        f"install pgvector {_needed()} or newer on the server (from PostgreSQL's own repositories: "
        f"postgresql-{major}-pgvector on Debian and Ubuntu, pgvector_{major} on Red Hat and SUSE; or the "
        f"image pgvector/pgvector:pg{major})"
    )


async def _create(connection: Connection) -> None:
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except asyncpg.InsufficientPrivilegeError:
        raise DatabaseUnfit(
            "the migrating user may not add pgvector: let a superuser run CREATE EXTENSION vector in this "
            "database, then run this again"
        ) from None
