"""Connections that are prepared to serve: with pgvector's type, and the identity of the schema they found."""

import secrets
from typing import cast

import asyncpg

from matcher_service.postgres.connections.extension import (
    DatabaseUnfit,
    check_extension,
    check_usage,
    set_search_path,
)
from matcher_service.postgres.connections.pooler import (
    SERVING_ROLE,
    Limits,
    check_session_settings,
    is_pooled,
)
from matcher_service.postgres.statements import load

PREPARE_SECONDS = 3.0  # for each query of `prepare`, even if the limit of a call's statements is shorter
_PROCESS = secrets.token_hex(8)


class PreparedConnection(asyncpg.Connection):
    """A connection that stores the schema's identity at the time of its preparation."""

    __slots__ = ("prepared_for",)

    prepared_for: asyncpg.Record | None

    def _get_unique_id(self, prefix: str) -> str:
        # The driver's names of statements are unique in a process. A pooler may lend one session to several,
        # and where it does not keep their names apart, one would run what another has prepared.
        name: str = super()._get_unique_id(prefix)  # type: ignore[misc]
        return name + _PROCESS


async def prepare(connection: asyncpg.Connection, limits: Limits) -> None:
    """Find pgvector, bind its type, and set the statement timeout. Raises DatabaseUnfit.

    A session that a pooler lends is left as it is: whatever is set would be another connection's too.
    """
    # Read first: whatever is recreated from here on has another identity.
    prepared_for = await connection.fetchrow(load()["schema_identity"].text)
    schema = await check_extension(connection)
    await check_usage(connection, schema, SERVING_ROLE)
    if await is_pooled(connection):
        await check_session_settings(connection, schema, limits)
    else:
        await set_search_path(connection, schema)
        if limits.statement_seconds < PREPARE_SECONDS:
            await connection.execute(f"SET statement_timeout = '{limits.statement_seconds:.3f}s'")
    try:
        await connection.set_type_codec(
            "vector", schema=schema, encoder=_as_is, decoder=_as_is, format="binary"
        )
    except ValueError:  # the type was dropped since
        raise DatabaseUnfit("the database has no pgvector any more") from None
    cast(PreparedConnection, connection).prepared_for = prepared_for


def _as_is(value: bytes) -> bytes:
    return value


async def keep(connection: asyncpg.Connection) -> None:
    """Nothing to reset: no statement leaves session state, and RESET ALL would cost a round trip."""
