"""Translates driver errors to domain errors, by class and SQLSTATE: messages may be in any language."""

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
    PrimaryChanged,
    ReadInterrupted,
    SchemaChanged,
    StoreUnavailable,
)
from matcher_service.postgres.connections.extension import DatabaseUnfit
from matcher_service.postgres.session import Connection
from matcher_service.postgres.statements import load, partition_name

RETRY_UNAVAILABLE_SECONDS = 1.0
RETRY_OVERLOADED_SECONDS = 0.1
ATTEMPTS = 4  # if a collection is erased and recreated during each of them

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""All errors that the driver raises, for connections whose errors are not translated."""

SERVER_ERRORS = (asyncpg.PostgresError,)
"""Errors that the server reports: the connection works."""

CONNECTING_ERRORS = (OSError, TimeoutError, *DRIVER_ERRORS)
"""All errors of connecting and of the driver."""

LOCK_ERRORS = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
"""Another transaction holds a lock: a retry may succeed."""

LOGIN_ERRORS = (
    asyncpg.InsufficientPrivilegeError,  # the login may not act as facerec_serve, or that role lacks a grant
    asyncpg.InvalidParameterValueError,  # there is no such role
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)
"""The login, its role or the database does not exist or may not be used."""

NO_SCHEMA_ERRORS = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
"""The schema does not exist."""

READ_ONLY_ERRORS = (asyncpg.ReadOnlySQLTransactionError,)
"""The server is a standby, or accepts no writes."""

PRIVILEGE_ERRORS = (asyncpg.InsufficientPrivilegeError,)
"""The role lacks a privilege."""

P = ParamSpec("P")
T = TypeVar("T")

_PARTITION = re.compile(
    r"\b(?:person|face|enroll_request|rotation|sketch)_[0-9a-f]{32}\b"
)  # a table name in a statement
_OPENING = "relation_open"  # the server function that reports a table dropped during a statement
_COLLECTION_GONE = "_collection_id_fkey"  # the suffix of foreign keys to the collection

_BUSY = (
    asyncpg.QueryCanceledError,  # statement_timeout
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.TooManyConnectionsError,
)

_MISSING = (  # an object that a statement names does not exist
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,  # or an operator
    asyncpg.UndefinedObjectError,  # a type
    asyncpg.InvalidColumnReferenceError,  # the unique index of an ON CONFLICT
    asyncpg.InvalidSchemaNameError,
)

_REPLANNED = (  # the driver dropped its prepared statement; the next attempt prepares it again
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
)

CONFLICT_ERRORS = (  # of a read: on a standby, replay needed what it held
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
)

LOST_ERRORS = (  # of a server that can no longer be used, or not by this connection
    OSError,  # refused, unreachable, reset; TimeoutError is one
    DatabaseUnfit,  # from a new connection
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shutting down, starting, crashed
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory
    asyncpg.InterfaceError,  # the connection was lost during a statement
    asyncpg.InternalClientError,
    asyncpg.InvalidSQLStatementNameError,  # a pooler has lost what was prepared
)

STALE_ERRORS = (  # errors of a connection that may have cached dropped objects
    *_MISSING,
    *_REPLANNED,
    asyncpg.InternalServerError,  # "cache lookup failed"
    asyncpg.DataError,  # also of the driver, for a type whose OID changed
    asyncpg.UnsupportedClientFeatureError,
)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise driver errors as StoreUnavailable or Overloaded; domain errors and bugs pass unchanged."""
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
        *LOST_ERRORS,
        *READ_ONLY_ERRORS,
    ) as error:
        raise _unavailable() from error


async def explain(
    connection: Connection, prepared_for: asyncpg.Record | None, collection_id: str, error: Exception
) -> None:
    """Find the cause of one of STALE_ERRORS, on the connection that raised it.

    `prepared_for` is the schema's identity when the connection was prepared, `collection_id` that of the
    failed statement. Raises SchemaChanged if the schema is another one now, StoreUnavailable if there is
    none, CollectionNotFound if the statement's tables were erased with their collection; returns if the error
    has none of these causes.
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
    # The missing table's name is only in the server's message, so all tables that the statement names are
    # checked.
    suffix = partition_name("", collection_id)
    tables = {
        name for name in _PARTITION.findall(getattr(error, "query", None) or "") if name.endswith(suffix)
    }
    if not lost or not tables:
        return
    statement = load()["tables_state"]
    arguments = statement.arguments({"table_names": list(tables), "collection_id": collection_id})
    for _ in range(2):  # one check may see the collection before a change and the tables after it
        state = await connection.fetchrow(statement.text, *arguments)
        assert state is not None
        if not state["collection"]:
            raise CollectionNotFound from error
        if not state["table_missing"]:
            raise CollectionRecreated from error
    raise _unavailable() from error  # a restore has not created them yet, or has dropped them already


def retried_on_schema_change(
    method: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Retry a method, up to ATTEMPTS times, if the schema or its collection was recreated during it, the
    primary became a standby, or a standby failed.

    Only for methods that change nothing when they fail: of one statement, one transaction, or only reads.
    """

    @functools.wraps(method)
    async def run(*arguments: P.args, **named: P.kwargs) -> T:
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(SchemaChanged, PrimaryChanged, ReadInterrupted):
                return await method(*arguments, **named)
        return await method(*arguments, **named)

    return run


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable(
        "the database cannot be used now; retry later",
        retry_after_seconds=RETRY_UNAVAILABLE_SECONDS,
    )
