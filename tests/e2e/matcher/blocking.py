"""Blocks enrollments at a chosen point, and finds the owner of a face."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import asyncpg

from facerec.matcher.v1 import matcher_pb2 as pb
from matcher_service.postgres.statements import partition_name
from tests.e2e.matcher.requests import Vector, encoding
from tests.e2e.matcher.transfers import LOCKED, connections
from tests.fixtures.matcher import RunningMatcher

STOPPED = "SELECT facerec.stop_enrollment('default')"


async def owners(matcher: RunningMatcher, face: Vector) -> list[str]:
    """Who has this face, or one within 0.5 of it."""
    found = await matcher.stub.Identify(pb.IdentifyRequest(probes=[encoding(face)], max_distance=0.5))
    return [candidate.person_id for candidate in found.faces[0].candidates]


async def waiting(database_url: str, condition: str = LOCKED) -> None:
    """Wait until a connection of a matcher meets a condition."""
    async with asyncio.timeout(10):
        while not await connections(database_url, condition):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def held(database_url: str, statement: str) -> AsyncIterator[asyncpg.Connection]:
    """A transaction that begins with a statement, and ends with the block."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(statement)
            yield connection
    finally:
        await connection.close()


def person_locked(person_id: str) -> str:
    partition = partition_name("person", "default")
    return f"SELECT FROM facerec.{partition} WHERE person_id = '{person_id}' FOR UPDATE"
