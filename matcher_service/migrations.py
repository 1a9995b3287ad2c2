"""The numbered files of sql/migrations, and the runner that brings a database to the last of them."""

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from importlib import resources

import asyncpg

from facerec.serving.errors import StartError
from matcher_service.extension import check_extension, check_server

LOCK_KEY = 0x6661636572656300  # "facerec"; advisory locks of one database share one space of numbers
LOCK_WAIT_SECONDS = 60
TABLE_LOCK_WAIT_SECONDS = 5
ROLE_ATTEMPTS = 5
_FILE = re.compile(r"^(\d{4})_(\w+)\.sql$")


class MigrationError(StartError):
    """The database was not migrated; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class Migration:
    """One file: its number, its name, its text and the SHA-256 of it, in hex."""

    version: int
    name: str
    text: str
    checksum: str


def available() -> list[Migration]:
    """Every migration this release has, in order, numbered from 1 without a gap."""
    folder = resources.files("matcher_service") / "sql" / "migrations"
    found = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if match := _FILE.match(file.name):
            text = file.read_text(encoding="utf-8")
            checksum = hashlib.sha256(text.encode()).hexdigest()
            found.append(Migration(int(match[1]), match[2], text, checksum))
    assert [migration.version for migration in found] == list(range(1, len(found) + 1))
    return found


def head() -> int:
    """The version this release needs."""
    return len(available())


async def migrate(database_url: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing, each file in a transaction of its own; return the names of those applied.

    Safe to run again and from several places at once. Raises MigrationError.
    """
    migrations = available() if migrations is None else migrations
    try:
        connection = await asyncpg.connect(database_url, timeout=10)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, ValueError) as error:
        raise MigrationError(f"cannot connect to the database: {_line(error)}") from None
    try:
        return await _migrate(connection, migrations)
    except asyncpg.LockNotAvailableError:
        raise MigrationError("another session holds a lock the migration needs; run it again later") from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise MigrationError(
            f"the migrating user lacks a right: {_line(error)}. It needs CREATEROLE once in the cluster (or "
            "the roles facerec_owner and facerec_serve made beforehand and facerec_owner granted to it) and "
            "CREATE on the database"
        ) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise MigrationError(f"the migration failed and was undone: {_line(error)}") from None
    finally:
        await connection.close(timeout=5)


async def _migrate(connection: asyncpg.Connection, migrations: Sequence[Migration]) -> list[str]:
    await connection.execute("SET statement_timeout = 0")
    await check_server(connection)
    await connection.execute(f"SET lock_timeout = '{LOCK_WAIT_SECONDS}s'")
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    await connection.execute(f"SET lock_timeout = '{TABLE_LOCK_WAIT_SECONDS}s'")
    extension_schema = await check_extension(connection, create=True)
    await _lay_foundation(connection)
    missing = migrations[await check_applied(connection, migrations) :]
    for migration in missing:
        async with connection.transaction():
            await connection.execute("SET LOCAL ROLE facerec_owner")
            await connection.execute("SELECT set_config('search_path', $1, true)", extension_schema)
            await connection.execute(migration.text)
            await connection.execute(
                "INSERT INTO facerec.schema_migration (version, name, checksum) VALUES ($1, $2, $3)",
                migration.version,
                migration.name,
                migration.checksum,
            )
    return [f"{migration.version:04d}_{migration.name}" for migration in missing]


async def _lay_foundation(connection: asyncpg.Connection) -> None:
    """Roles belong to the cluster and advisory locks to a database, so another one's run can collide."""
    text = (resources.files("matcher_service") / "sql" / "foundation.sql").read_text(encoding="utf-8")
    for attempt in range(1, ROLE_ATTEMPTS + 1):
        try:
            async with connection.transaction():
                await connection.execute(text)
        except asyncpg.InternalServerError:  # "tuple concurrently updated", in a shared catalog
            if attempt == ROLE_ATTEMPTS:
                raise
        else:
            return


async def check_applied(connection: asyncpg.Connection, migrations: Sequence[Migration] | None = None) -> int:
    """Return how many migrations the database has had.

    Raises MigrationError where they are more than this release's (or those given), or others.
    """
    migrations = available() if migrations is None else migrations
    rows = await connection.fetch("SELECT version, name, checksum FROM facerec.schema_migration ORDER BY 1")
    applied = [(row["version"], row["name"], row["checksum"]) for row in rows]
    if len(applied) > len(migrations):
        raise MigrationError(
            f"the database is at version {applied[-1][0]} and this release knows {len(migrations)}: "
            "run the release that migrated it, or a newer one"
        )
    for (version, name, checksum), known in zip(applied, migrations, strict=False):
        if (version, checksum) != (known.version, known.checksum):
            raise MigrationError(
                f"migration {version:04d}_{name} was applied with another text than this release has: "
                "run the release that migrated the database"
            )
    return len(applied)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
