"""The gallery's database in the embedded server, and the login that serves it."""

import asyncio

import asyncpg

from facerec.local.postgres import EmbeddedPostgres

NAME = "facerec"
LOGIN_ROLE = "facerec_matcher"


def create(server: EmbeddedPostgres) -> str:
    """Make the database in the embedded server if need be; return its URL for migrating."""
    asyncio.run(_create(server.url()))
    return server.url(NAME)


def create_login(server: EmbeddedPostgres) -> str:
    """Make the login that serves and owns nothing, once migrated; return the URL for serving."""
    asyncio.run(_create_login(server.url(NAME)))
    return server.url(NAME, LOGIN_ROLE)


async def _create(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", NAME):
            await connection.execute(f"CREATE DATABASE {NAME}")
    finally:
        await connection.close()


async def _create_login(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", LOGIN_ROLE
        ):
            await connection.execute(f"CREATE ROLE {LOGIN_ROLE} LOGIN IN ROLE facerec_serve")
    finally:
        await connection.close()
