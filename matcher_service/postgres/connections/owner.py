"""The connection of maintenance: acts as the schema's owner, without a statement timeout."""

import contextlib
import functools
from collections.abc import AsyncIterator

import asyncpg

from facerec.serving.server.errors import StartError
from matcher_service.postgres import migrations
from matcher_service.postgres.connections import address
from matcher_service.postgres.connections.extension import (
    check_extension,
    check_server,
    check_usage,
    set_search_path,
)
from matcher_service.postgres.connections.pooler import check_keeps_session
from matcher_service.postgres.session import Connection
from matcher_service.postgres.statements import load

LOCK_KEY = migrations.LOCK_KEY + 1
LOCK_WAIT_SECONDS = 5.0
CONNECT_SECONDS = 10.0
_HAS_SCHEMA = """
SELECT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'facerec' AND c.relname = 'schema_migration'
)
"""


class MaintenanceError(StartError):
    """Maintenance cannot run; the message says what to do."""


class SchemaNotReady(MaintenanceError):
    """The database has no schema, or one that this release's migration has not finished yet."""


@contextlib.asynccontextmanager
async def connect(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection that acts as facerec_owner, to a compatible schema.

    Raises SchemaNotReady, MaintenanceError, DatabaseUnfit, UrlInvalid, and what asyncpg raises.
    """
    open_another = functools.partial(address.connect, database_url, seconds=CONNECT_SECONDS)
    connection = await open_another()
    try:
        await check_keeps_session(connection, open_another)
        await check_server(connection)
        await _check_has_schema(connection)
        schema = await check_extension(connection)
        await check_usage(connection, schema, "facerec_owner")
        await _set_message_language(connection)
        await _become_owner(connection)
        await connection.execute(
            f"SET lock_timeout = '{LOCK_WAIT_SECONDS}s'; SET statement_timeout = 0; SET jit = off; "
            "SET default_transaction_isolation = 'read committed'"  # each statement sees who committed before
        )
        await set_search_path(connection, schema)
        await connection.set_type_codec(
            "vector", schema=schema, encoder=bytes, decoder=bytes, format="binary"
        )
        await _check_schema(connection)
        yield connection
    finally:
        await connection.close(timeout=CONNECT_SECONDS)


@contextlib.asynccontextmanager
async def lock_wait(connection: Connection, seconds: float) -> AsyncIterator[None]:
    """Set the longest wait for a lock within the block, then restore it."""
    await connection.execute(f"SET lock_timeout = '{seconds}s'")
    try:
        yield
    finally:
        await connection.execute(f"SET lock_timeout = '{LOCK_WAIT_SECONDS}s'")


async def try_maintenance_lock(connection: asyncpg.Connection) -> bool:
    """Try to acquire the maintenance lock, which is held until the connection is closed."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY))


async def _set_message_language(connection: asyncpg.Connection) -> None:
    """Set English messages, so that vacuum reports can be parsed, if the login may: docs/erasure.md."""
    with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
        await connection.execute("SET lc_messages = 'C'")


async def _become_owner(connection: asyncpg.Connection) -> None:
    try:
        await connection.execute("SET ROLE facerec_owner")
    except (asyncpg.InvalidParameterValueError, asyncpg.InsufficientPrivilegeError):
        raise MaintenanceError(
            "the login may not act as facerec_owner: use the login of `migrate` for `maintain`"
        ) from None


async def _check_has_schema(connection: asyncpg.Connection) -> None:
    if not await connection.fetchval(_HAS_SCHEMA):
        raise SchemaNotReady("the database has no schema yet: run `matcher_service migrate`")


async def _check_schema(connection: asyncpg.Connection) -> None:
    row = await connection.fetchrow(load()["schema_version"].text)
    assert row is not None
    if row["version"] < migrations.head():
        raise SchemaNotReady(migrations.incompatibility(row["version"], row["serves_from"]))
    if why := migrations.incompatibility(row["version"], row["serves_from"]):
        raise MaintenanceError(why)
