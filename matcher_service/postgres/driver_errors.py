"""Where the driver's errors become ours, by class and SQLSTATE: messages are in any language."""

import contextlib
import functools
import re
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, ParamSpec, TypeVar

import asyncpg

from matcher_service.domain.errors import (
    CollectionNotFound,
    CollectionRecreated,
    MatcherError,
    Overloaded,
    SchemaChanged,
    StoreUnavailable,
)
from matcher_service.postgres.connections.extension import DatabaseUnfit
from matcher_service.postgres.session import Connection
from matcher_service.postgres.statements import load, partition_name

RETRY_UNAVAILABLE_SECONDS = 1.0
RETRY_OVERLOADED_SECONDS = 0.1
TRIES = 4  # while a collection of one id is erased and made anew again and again

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""Whatever the driver raises, over a connection of one's own, where nothing translates it."""

SERVER_ERRORS = (asyncpg.PostgresError,)
"""What the server answers: the connection is there."""

CONNECTING_ERRORS = (OSError, TimeoutError, *DRIVER_ERRORS)
"""Whatever ends a try to connect, too."""

LOCK_ERRORS = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
"""Somebody else holds what was wanted: another try may succeed."""

LOGIN_ERRORS = (
    asyncpg.InsufficientPrivilegeError,  # the role facerec_serve may not be taken, or lacks a grant
    asyncpg.InvalidParameterValueError,  # there is no such role
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
"""The login, its role or the database is not there or may not be used."""

NO_SCHEMA_ERRORS = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
"""The schema is not there."""

PRIVILEGE_ERRORS = (asyncpg.InsufficientPrivilegeError,)
"""The role may not do it."""

P = ParamSpec("P")
T = TypeVar("T")

_PARTITION = re.compile(r"\b(?:person|face|enroll_request)_[0-9a-f]{32}\b")  # as our statements name them
_OPENING = "relation_open"  # the server's function that finds a table dropped under a statement
_COLLECTION_GONE = "_collection_id_fkey"  # how the constraints end that want a row's collection to be there

_BUSY = (
    asyncpg.QueryCanceledError,  # statement_timeout
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.TooManyConnectionsError,
)

_MISSING = (  # something that our statements name
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,  # an operator too
    asyncpg.UndefinedObjectError,  # a type
    asyncpg.InvalidColumnReferenceError,  # the unique index of an ON CONFLICT
    asyncpg.InvalidSchemaNameError,
)

_REPLANNED = (  # the driver has dropped what it kept of the statement; the next try prepares it anew
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
)

STALE_ERRORS = (  # errors of a connection that may hold on to what was dropped
    *_MISSING,
    *_REPLANNED,
    asyncpg.InternalServerError,  # "cache lookup failed"
    asyncpg.DataError,  # the driver's too, for a type that it knew by another number
    asyncpg.UnsupportedClientFeatureError,
)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise a driver's error as StoreUnavailable or Overloaded; let ours and faults of ours through."""
    try:
        yield
    except (MatcherError, ValueError):
        raise
    except asyncpg.InternalServerError as error:
        if error.server_source_function != _OPENING:
            raise
        raise _unavailable() from error
    except asyncpg.ForeignKeyViolationError as error:
        if str(error.constraint_name).endswith(_COLLECTION_GONE):  # deleted since the call looked it up
            raise CollectionNotFound from error
        raise
    except _REPLANNED as error:
        raise SchemaChanged from error
    except _BUSY as error:
        raise Overloaded(
            "the database is overloaded; retry later",
            retry_after_seconds=RETRY_OVERLOADED_SECONDS,
        ) from error
    except (
        *_MISSING,
        DatabaseUnfit,  # of a new connection
        OSError,  # refused, unreachable, reset; TimeoutError is one
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,  # shutting down, starting, crashed
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InsufficientPrivilegeError,
        asyncpg.InsufficientResourcesError,  # disk full, out of memory
        asyncpg.ReadOnlySQLTransactionError,  # a standby
        asyncpg.InterfaceError,  # the connection was lost under a statement
        asyncpg.InternalClientError,
    ) as error:
        raise _unavailable() from error


async def explain(
    connection: Connection, prepared_for: asyncpg.Record | None, collection_id: str, error: Exception
) -> None:
    """Say what is behind an error of STALE_ERRORS, on the connection that it came from.

    `prepared_for` is the schema's identity when the connection was prepared, `collection_id` whose statement
    failed. Raises SchemaChanged where the schema is another one now, StoreUnavailable where there is none,
    CollectionNotFound where what the statement names is gone with its collection; returns where the error is
    what it says.
    """
    found = await connection.fetchrow(load()["schema_identity"].text)
    assert found is not None
    if any(number is None for number in found.values()):
        raise _unavailable() from error
    if found != prepared_for:
        raise SchemaChanged from error
    lost = isinstance(error, asyncpg.UndefinedTableError) or (
        isinstance(error, asyncpg.InternalServerError) and error.server_source_function == _OPENING
    )
    # Which table it was is only in the server's message, so those that the statement names are asked for.
    suffix = partition_name("", collection_id)
    tables = {
        name for name in _PARTITION.findall(getattr(error, "query", None) or "") if name.endswith(suffix)
    }
    if not lost or not tables:
        return
    statement = load()["tables_state"]
    arguments = statement.arguments({"table_names": list(tables), "collection_id": collection_id})
    for _ in range(2):  # one look may see the collection as it was and the tables as they are
        state = await connection.fetchrow(statement.text, *arguments)
        assert state is not None
        if not state["collection"]:
            raise CollectionNotFound from error
        if not state["gone"]:
            raise CollectionRecreated from error
    raise _unavailable() from error  # a restore has not come to them yet, or has dropped them already


def retried_on_schema_change(
    method: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Run a method again, up to TRIES times, where the schema or its collection was made anew meanwhile.

    For one that has changed nothing where it fails: it runs one statement, one transaction, or only reads.
    """

    @functools.wraps(method)
    async def run(*arguments: P.args, **named: P.kwargs) -> T:
        for _ in range(TRIES - 1):
            with contextlib.suppress(SchemaChanged):
                return await method(*arguments, **named)
        return await method(*arguments, **named)

    return run


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable(
        "the database cannot be used now; retry later",
        retry_after_seconds=RETRY_UNAVAILABLE_SECONDS,
    )
