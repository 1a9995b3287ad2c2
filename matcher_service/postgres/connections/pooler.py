"""Finds out whether a pooler, such as PgBouncer, is between, and whether its sessions can be used.

A pooler ignores the settings that a connection starts with, and with transaction pooling each transaction may
run in another of the server's sessions. So the login's role must have the settings, and prepared statements
must follow the connection. PgBouncer's documentation: https://www.pgbouncer.org/features.html.
"""

import dataclasses
import enum
from collections.abc import Awaitable, Callable

import asyncpg

from matcher_service.postgres.connections.extension import DatabaseUnfit
from matcher_service.postgres.session import Connection, Row
from matcher_service.postgres.statements import load

SERVING_ROLE = "facerec_serve"
_GUIDE = "docs/operations.md, PgBouncer"


class PoolMode(enum.Enum):
    """What a connection keeps from one transaction to the next; the value is the sentence for operators."""

    NO_POOLER = "no pooler is between"
    SESSION = "a pooler gives each connection a session of its own: session pooling"
    STATEMENTS = (
        "a pooler gives each transaction a session, with its prepared statements: transaction pooling"
    )
    NOTHING = "a pooler gives each transaction a session, without its prepared statements"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a session should have: the wait for a lock, the least limit of a statement, the most workers."""

    lock_seconds: float
    statement_seconds: float
    workers: int = 0


async def is_pooled(connection: Connection) -> bool:
    """Whether the server's process is another one than the connection was told: a pooler answered it."""
    process: int = await connection.fetchval("SELECT pg_backend_pid()")
    return process != connection.get_server_pid()


async def pool_mode(connection: Connection, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> PoolMode:
    """Find out what a connection keeps; `connect` opens another one to the same address.

    Several processes of one pooler behind one address could hide that sessions are shared, unless it keeps
    prepared statements. Raises what asyncpg raises.
    """
    if not await is_pooled(connection):
        return PoolMode.NO_POOLER
    statement = await connection.prepare(load()["session_identity"].text)
    try:
        async with connection.transaction():
            found = await statement.fetchrow()
    except (asyncpg.PostgresConnectionError, asyncpg.InvalidSQLStatementNameError):
        return (
            PoolMode.NOTHING
        )  # with statement pooling PgBouncer ends a connection that begins a transaction
    assert found is not None
    if statement.get_name() not in found["statements"]:  # the pooler has prepared it under a name of its own
        return PoolMode.STATEMENTS
    other = await connect()
    try:
        shared = await _is_shared(found["process"], statement, other)
    finally:
        await other.close(timeout=1)
    return PoolMode.NOTHING if shared else PoolMode.SESSION


async def _is_shared(
    process: int, statement: "asyncpg.prepared_stmt.PreparedStatement[Row]", other: asyncpg.Connection
) -> bool:
    """Whether a prepared statement's session changes, or is used by another connection meanwhile."""
    async with other.transaction():
        if await other.fetchval("SELECT pg_backend_pid()") == process:
            return True
        try:
            found = await statement.fetchrow()
        except asyncpg.InvalidSQLStatementNameError:
            return True
    return found is None or found["process"] != process


async def check_pooler(
    connection: Connection,
    connect: Callable[[], Awaitable[asyncpg.Connection]],
    *,
    schema: str,
    limits: Limits,
) -> PoolMode:
    """Raises DatabaseUnfit if a pooler is between whose sessions cannot serve; as `pool_mode` otherwise."""
    mode = await pool_mode(connection, connect)
    if mode is PoolMode.NOTHING:
        raise DatabaseUnfit(
            "a pooler before the database gives each transaction or statement another session and loses "
            "prepared statements: use session pooling, or transaction pooling of PgBouncer 1.21 or newer "
            f"with max_prepared_statements above 0 ({_GUIDE})"
        )
    if mode is not PoolMode.NO_POOLER:
        await check_session_settings(connection, schema, limits)
    return mode


async def check_session_settings(connection: Connection, schema: str, limits: Limits) -> None:
    """Check that a pooler's session has what serving needs; `schema` is pgvector's.

    Raises DatabaseUnfit with the statements that give the login's role what is missing.
    """
    query = load()["session_settings"]
    found = await connection.fetchrow(query.text, *query.arguments({"schema": schema}))
    assert found is not None
    wanted = {
        "role": (SERVING_ROLE, found["role"] == SERVING_ROLE),
        "search_path": (found["schema"], found["search_path"] == found["schema"]),
        "jit": ("off", found["jit"] == "off"),
        "max_parallel_workers_per_gather": ("0", found["workers"] <= limits.workers),
        "lock_timeout": (f"'{limits.lock_seconds:g}s'", found["lock_seconds"] > 0),
        "statement_timeout": (
            f"'{limits.statement_seconds:g}s'",
            found["statement_seconds"] >= limits.statement_seconds,
        ),
    }
    if missing := [f"SET {name} = {value}" for name, (value, right) in wanted.items() if not right]:
        alter = f"ALTER ROLE {found['login']}"
        raise DatabaseUnfit(
            "a pooler before the database opens sessions without settings that serving needs: run "
            + "; ".join(f"{alter} {setting}" for setting in missing)
            + f"; then have the pooler connect again ({_GUIDE})"
        )


async def check_keeps_session(
    connection: Connection, connect: Callable[[], Awaitable[asyncpg.Connection]]
) -> None:
    """Raises DatabaseUnfit if transactions of a connection may run in different sessions."""
    if await pool_mode(connection, connect) in (PoolMode.STATEMENTS, PoolMode.NOTHING):
        raise DatabaseUnfit(
            "`migrate` and `maintain` hold locks and settings of a session, and a pooler before the database "
            f"gives each transaction another session: give them the server's own address ({_GUIDE})"
        )
