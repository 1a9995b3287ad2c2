"""The database in the embedded server, and the login that serves it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from facerec.local.errors import BackupFailed
from facerec.local.postgres import EmbeddedPostgres

NAME = "facerec"
LOGIN_ROLE = "facerec_matcher"
_RESTORED, _REPLACED = "facerec_restored", "facerec_replaced"  # there while a backup is restored
_GROUP_ROLES = ("facerec_owner", "facerec_serve")  # to which a backup, of one database, gives rights
T = TypeVar("T")


def create(server: EmbeddedPostgres) -> str:
    """Make the database in the embedded server if need be; return its URL for migrating."""
    _on(server.url(), _create)
    return server.url(NAME)


def create_login(server: EmbeddedPostgres) -> str:
    """Make the login that serves and owns nothing, once migrated; return the URL for serving."""
    _on(server.url(NAME), lambda admin: _create_role(admin, LOGIN_ROLE, "LOGIN IN ROLE facerec_serve"))
    return server.url(NAME, LOGIN_ROLE)


def create_restored(server: EmbeddedPostgres, *, replace: bool) -> str:
    """Make an empty database to restore a backup into, and the roles of which it speaks; return its URL.

    Raises BackupFailed where there is a database already and `replace` does not say that it may go.
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

    _on(server.url(), make)
    return server.url(_RESTORED)


def put_in_place(server: EmbeddedPostgres) -> None:
    """Make the restored database the one that serves, in one transaction, and erase what was there."""

    async def swap(admin: asyncpg.Connection) -> None:
        async with admin.transaction():
            if await _exists(admin, NAME):
                await admin.execute(f"ALTER DATABASE {NAME} RENAME TO {_REPLACED}")
            await admin.execute(f"ALTER DATABASE {_RESTORED} RENAME TO {NAME}")
        await _drop(admin, _REPLACED)

    _on(server.url(), swap)


def drop_restored(server: EmbeddedPostgres) -> None:
    """Erase what was restored of a backup."""
    _on(server.url(), lambda admin: _drop(admin, _RESTORED))


def _on(url: str, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Do some work by a connection of its own."""

    async def connected() -> T:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(connected())


async def _create(admin: asyncpg.Connection) -> None:
    for left in (_RESTORED, _REPLACED):  # by a restore that was killed
        await _drop(admin, left)
    if not await _exists(admin, NAME):
        await admin.execute(f"CREATE DATABASE {NAME}")


async def _create_role(admin: asyncpg.Connection, role: str, options: str) -> None:
    if not await admin.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
        await admin.execute(f"CREATE ROLE {role} {options}")


async def _exists(admin: asyncpg.Connection, name: str) -> bool:
    return bool(await admin.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name))


async def _drop(admin: asyncpg.Connection, name: str) -> None:
    await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
