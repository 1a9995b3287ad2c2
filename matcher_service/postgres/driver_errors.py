"""Where the driver's errors become ours, by class and SQLSTATE: messages are in any language."""

import contextlib
import functools
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import ParamSpec, TypeVar

import asyncpg

from matcher_service.domain.errors import (
    CollectionNotFound,
    MatcherError,
    Overloaded,
    SchemaChanged,
    StoreUnavailable,
)
from matcher_service.postgres.extension import DatabaseUnfit
from matcher_service.postgres.statements import asked_for, load

RETRY_UNAVAILABLE_SECONDS = 1.0
RETRY_OVERLOADED_SECONDS = 0.1

Connection = asyncpg.pool.PoolConnectionProxy
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

SUSPECT = (  # errors of a connection that may hold on to what was dropped
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
            "the database was too busy for this; try again in a moment",
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


async def explain(connection: Connection, prepared_for: asyncpg.Record | None, error: Exception) -> None:
    """Say what is behind an error of SUSPECT, on the connection that it came from.

    `prepared_for` is the schema's identity when the connection was prepared. Raises SchemaChanged where it is
    another one now, StoreUnavailable where there is none, CollectionNotFound where what a statement named is
    gone with its collection; returns where the error is what it says.
    """
    found = await connection.fetchrow(load()["schema_identity"])
    assert found is not None
    if any(number is None for number in found.values()):
        raise _unavailable() from error
    if found != prepared_for:
        raise SchemaChanged from error
    lost = isinstance(error, asyncpg.UndefinedTableError) or (
        isinstance(error, asyncpg.InternalServerError) and error.server_source_function == _OPENING
    )
    # Which table it was is only in the server's message, so those that the statement names are asked for.
    tables = set(_PARTITION.findall(getattr(error, "query", None) or ""))
    collection_id = next(filter(None, map(asked_for, tables)), None)
    if not lost or collection_id is None:
        return
    for _ in range(2):  # one look may see the collection as it was and the tables as they are
        state = await connection.fetchrow(load()["tables_state"], list(tables), collection_id)
        assert state is not None
        if not state["collection"]:
            raise CollectionNotFound from error
        if not state["gone"]:
            raise SchemaChanged from error  # the collection was erased and made anew meanwhile
    raise _unavailable() from error  # a restore has not come to them yet, or has dropped them already


def tried_anew(method: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Run a method a second time where the schema was made anew under the first.

    For one that has changed nothing where it fails: it runs one statement, one transaction, or only reads.
    """

    @functools.wraps(method)
    async def run(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return await method(*arguments, **named)
        except SchemaChanged:
            return await method(*arguments, **named)

    return run


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable(
        "the database cannot be used now; try again in a moment",
        retry_after_seconds=RETRY_UNAVAILABLE_SECONDS,
    )
