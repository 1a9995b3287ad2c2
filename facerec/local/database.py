"""The database in the embedded server, and the login role of the matcher."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from facerec.local.errors import BackupFailed
from facerec.local.postgres import EmbeddedPostgres

NAME = "facerec"
LOGIN_ROLE = "facerec_matcher"
_RESTORED, _REPLACED = "facerec_restored", "facerec_replaced"  # exist while a backup is restored
_GROUP_ROLES = ("facerec_owner", "facerec_serve")  # roles that a backup of the database grants rights to
T = TypeVar("T")


def create(server: EmbeddedPostgres) -> str:
    """Create the database in the embedded server if it is missing; returns its URL for migrating."""
    _run(server.url(), _create)
    return server.url(NAME)


def create_login(server: EmbeddedPostgres) -> str:
    """Create the login that serves and owns nothing, once migrated; returns the URL for serving."""
    _run(server.url(NAME), lambda admin: _create_role(admin, LOGIN_ROLE, "LOGIN IN ROLE facerec_serve"))
    return server.url(NAME, LOGIN_ROLE)


def create_restored(server: EmbeddedPostgres, *, replace: bool) -> str:
    """Create an empty database to restore a backup into, and the roles that it names; returns its URL.

    Raises BackupFailed if a database exists and `replace` is false.
    """

    async def make(admin: asyncpg.Connection) -> None:
        if not replace and await _exists(admin, NAME):
            raise BackupFailed(
                "there is a database in this data folder: name a new one by --data, or have --replace "
                "erase it and put the backup's in its place"
            )
        for role in _GROUP_ROLES:
            await _create_role(admin, role, "NOLOGIN")
        await _drop(admin, _RESTORED)
        await admin.execute(f"CREATE DATABASE {_RESTORED}")

    _run(server.url(), make)
    return server.url(_RESTORED)


def replace_by_restored(server: EmbeddedPostgres) -> None:
    """Replace the database by the restored one in one transaction, and erase the replaced one."""

    async def swap(admin: asyncpg.Connection) -> None:
        async with admin.transaction():
            if await _exists(admin, NAME):
                await admin.execute(f"ALTER DATABASE {NAME} RENAME TO {_REPLACED}")
            await admin.execute(f"ALTER DATABASE {_RESTORED} RENAME TO {NAME}")
        await _drop(admin, _REPLACED)

    _run(server.url(), swap)


def drop_restored(server: EmbeddedPostgres) -> None:
    """Drop the database that a backup was restored into."""
    _run(server.url(), lambda admin: _drop(admin, _RESTORED))


def _run(url: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Run `work` with a connection of its own."""

    async def connected() -> T:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(connected())


async def _create(admin: asyncpg.Connection) -> None:
    for leftover in (_RESTORED, _REPLACED):  # of a restore that was killed
        await _drop(admin, leftover)
    if not await _exists(admin, NAME):
        await admin.execute(f"CREATE DATABASE {NAME}")


async def _create_role(admin: asyncpg.Connection, role: str, options: str) -> None:
    if not await admin.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
        await admin.execute(f"CREATE ROLE {role} {options}")


async def _exists(admin: asyncpg.Connection, name: str) -> bool:
    return bool(await admin.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name))


async def _drop(admin: asyncpg.Connection, name: str) -> None:
    await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
