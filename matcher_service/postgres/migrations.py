"""The numbered files of schema/, and the runner that applies them to a database."""

import asyncio
import dataclasses
import functools
import hashlib
import re
import sys
import time
from collections.abc import Sequence
from importlib import resources

import asyncpg

from facerec.printable import printable
from facerec.serving.server.errors import StartError
from matcher_service.postgres.connections import address
from matcher_service.postgres.connections.extension import (
    check_extension,
    check_server,
    check_usage,
    set_search_path,
)
from matcher_service.postgres.connections.pooler import check_keeps_session
from matcher_service.postgres.connections.url import DatabaseUrl
from matcher_service.postgres.session import Connection

LOCK_KEY = 0x6661636572656300  # "facerec"; all advisory locks of a database share one key space
LOCK_WAIT_SECONDS = 60
# Other sessions queue behind a waiting lock request on a table, so waits are short and repeated.
TABLE_LOCK_WAIT_SECONDS = 0.2
TABLE_LOCK_PAUSE_SECONDS = 1.0
TABLE_LOCK_ATTEMPTS = 30
ROLE_ATTEMPTS = 5
WAIT_POLL_SECONDS = 1.0
_CONNECTING_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
_LOST_ERRORS = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)
_FILE = re.compile(r"^(\d{4})_(\w+)\.sql$")
_SERVES = re.compile(r"^-- serves: (\d+)$", re.MULTILINE)
_LAST_IMPLICIT_VERSION = 13


class MigrationError(StartError):
    """The database was not migrated; the message says what to do."""


class DatabaseNotReady(MigrationError):
    """A later try may succeed: the server, the login or a right may not be there yet, or a lock is held."""


@dataclasses.dataclass(frozen=True)
class Migration:
    """One file: its number, its name, its text and the SHA-256 of it, in hex.

    `serves_from` is the oldest schema version whose release still works once this is applied: the version in
    the file's line `-- serves: VERSION`, or, up to 13, its own without one.
    """

    version: int
    name: str
    text: str
    checksum: str
    serves_from: int


def available() -> list[Migration]:
    """All migrations of this release, in order, numbered from 1 without a gap."""
    folder = resources.files("matcher_service") / "postgres" / "schema"
    found = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if match := _FILE.match(file.name):
            text = file.read_text(encoding="utf-8")
            checksum = hashlib.sha256(text.encode()).hexdigest()
            version = int(match[1])
            found.append(Migration(version, match[2], text, checksum, serves_from(version, text)))
    assert [migration.version for migration in found] == list(range(1, len(found) + 1))
    return found


def serves_from(version: int, text: str) -> int:
    """Return the oldest schema version whose release still works once a migration is applied.

    The migration's author declares it (docs/decisions/0004-upgrades.md): a wrong one would be an outage.
    """
    declared = _SERVES.findall(text)
    assert declared or version <= _LAST_IMPLICIT_VERSION, f"migration {version} lacks `-- serves: VERSION`"
    least = int(declared[0]) if declared else version
    assert least <= version, f"migration {version} declares `-- serves: {least}`, which is later"
    return least


def head() -> int:
    """The version this release needs."""
    return len(available())


def incompatibility(version: int, serves_from: int) -> str:
    """Return why a schema at `version`, for releases from `serves_from` on, is incompatible with this one.

    "" if it is compatible.
    """
    needed = head()
    if version < needed:
        return (
            f"the schema is at version {version} and this release needs {needed}: "
            "run `matcher_service migrate`"
        )
    if serves_from > needed:
        return (
            f"the schema is at version {version}, which needs a release of schema version {serves_from} or "
            f"later, and this one is of {needed}: run a newer release"
        )
    return ""


async def migrate_when_ready(url: DatabaseUrl, *, wait_seconds: float) -> list[str]:
    """Apply the missing migrations once the database can be migrated; `wait_seconds` limits the wait.

    What is waited for goes to stderr, once for each reason. Raises as `migrate` does.
    """
    ends = time.monotonic() + wait_seconds
    shown = ""
    while True:
        try:
            return await migrate(url.text)
        except DatabaseNotReady as error:
            if time.monotonic() >= ends:
                raise
            line = printable(f"waiting: {error}")
            if line != shown:
                print(line, file=sys.stderr, flush=True)
            shown = line
        await asyncio.sleep(WAIT_POLL_SECONDS)
        url.refresh()


async def migrate(database_url: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply the missing migrations, each in a transaction of its own; return the names of those applied.

    If another session holds a lock that a migration needs, it is rolled back and retried later. A newer
    schema that is compatible with this release is left as it is. Safe to run repeatedly and concurrently.
    Raises DatabaseNotReady, MigrationError, DatabaseUnfit, UrlInvalid.
    """
    migrations = available() if migrations is None else migrations
    open_another = functools.partial(address.connect, database_url, seconds=10)
    try:
        connection = await open_another()
    except ValueError as error:
        raise MigrationError(address.why_not_connected(error)) from None
    except _CONNECTING_ERRORS as error:
        raise DatabaseNotReady(address.why_not_connected(error)) from None
    try:
        await check_keeps_session(connection, open_another)
        return await _migrate(connection, migrations)
    except asyncpg.LockNotAvailableError:
        raise DatabaseNotReady(
            "another session holds a lock the migration needs; run it again later"
        ) from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise DatabaseNotReady(
            f"the migrating user lacks a privilege: {_line(error)}. It needs CREATEROLE once in the cluster "
            "(or the roles facerec_owner and facerec_serve made beforehand and facerec_owner granted to it) "
            "and CREATE on the database"
        ) from None
    except _CONNECTING_ERRORS as error:
        kind = DatabaseNotReady if isinstance(error, _LOST_ERRORS) else MigrationError
        raise kind(f"the migration failed and was undone: {_line(error)}") from None
    finally:
        await connection.close(timeout=5)


async def _migrate(connection: Connection, migrations: Sequence[Migration]) -> list[str]:
    await connection.execute("SET statement_timeout = 0")
    await check_server(connection)
    await connection.execute(f"SET lock_timeout = '{LOCK_WAIT_SECONDS}s'")
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    await connection.execute(f"SET lock_timeout = '{TABLE_LOCK_WAIT_SECONDS}s'")
    applied: list[str] = []
    for attempt in range(1, TABLE_LOCK_ATTEMPTS + 1):
        try:
            await _apply_missing(connection, migrations, applied)
            break
        except asyncpg.LockNotAvailableError:
            if attempt == TABLE_LOCK_ATTEMPTS:
                raise
            await asyncio.sleep(TABLE_LOCK_PAUSE_SECONDS)
    return applied


async def _apply_missing(connection: Connection, migrations: Sequence[Migration], applied: list[str]) -> None:
    """Apply the missing migrations and add their names to `applied`. Raises asyncpg.LockNotAvailableError."""
    extension_schema = await check_extension(connection, create=True)
    await _bootstrap(connection)
    await check_usage(connection, extension_schema, "facerec_owner", "facerec_serve")
    for migration in migrations[await check_applied(connection, migrations) :]:
        await _apply(connection, migration, extension_schema)
        applied.append(f"{migration.version:04d}_{migration.name}")


async def _apply(connection: Connection, migration: Migration, extension_schema: str) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE facerec_owner")
        await set_search_path(connection, extension_schema, local=True)
        await connection.execute(migration.text)
        await connection.execute(
            "INSERT INTO facerec.schema_migration (version, name, checksum, serves_from) "
            "VALUES ($1, $2, $3, $4)",
            migration.version,
            migration.name,
            migration.checksum,
            migration.serves_from,
        )


async def _bootstrap(connection: Connection) -> None:
    """Create roles and schema. Roles are cluster-wide, so a migration of another database can collide."""
    text = (resources.files("matcher_service") / "postgres" / "schema" / "foundation.sql").read_text(
        encoding="utf-8"
    )
    for attempt in range(1, ROLE_ATTEMPTS + 1):
        try:
            async with connection.transaction():
                await connection.execute(text)
        except asyncpg.InternalServerError:  # "tuple concurrently updated", in a shared catalog
            if attempt == ROLE_ATTEMPTS:
                raise
        else:
            return


async def check_applied(connection: Connection, migrations: Sequence[Migration] | None = None) -> int:
    """Return the number of migrations applied to the database.

    Raises MigrationError if they differ from this release's (or those given), or are newer and incompatible.
    """
    migrations = available() if migrations is None else migrations
    applied = await connection.fetch(
        "SELECT m.version, m.name, m.checksum, "
        "coalesce((to_jsonb(m) ->> 'serves_from')::int, m.version) AS serves_from "
        "FROM facerec.schema_migration m ORDER BY 1"
    )
    for row, migration in zip(applied, migrations, strict=False):
        if (row["version"], row["checksum"]) != (migration.version, migration.checksum):
            raise MigrationError(
                f"migration {row['version']:04d}_{row['name']} differs from this release's "
                "migration of that number: run the release that migrated the database"
            )
    serves_from = max((row["serves_from"] for row in applied), default=0)
    if serves_from > len(migrations):
        raise MigrationError(
            f"the database is at version {applied[-1]['version']}, which needs a release of schema version "
            f"{serves_from} or later, and this one is of {len(migrations)}: run the release that migrated "
            "it, or a newer one"
        )
    return len(applied)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
