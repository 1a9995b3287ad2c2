"""Calls that may be failed tries, and what is counted of them."""

import asyncio
from typing import Any

import asyncpg
import grpc.aio
import pytest

from facerec.client.failures import from_rpc_error
from facerec.errors import FacerecError
from facerec.matcher.v1 import matcher_pb2 as pb
from tests.e2e.access.conftest import bearer
from tests.e2e.matcher.requests import Vector, encoding, vectors
from tests.fixtures.matcher import RunningMatcher

NEAR, FAR = vectors(1)[0], vectors(1, seed=5)[0]
MAY = "encodings = true\n"
WAITING = (
    "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def verify(
    matcher: RunningMatcher, key: str, vector: Vector = FAR, person_id: str = "ann", **options: Any
) -> bool:
    request = pb.VerifyRequest(person_id=person_id, probe=encoding(vector))
    answer = await matcher.stub.Verify(request, metadata=bearer(key), **options)
    return bool(answer.match)


async def refusal(
    matcher: RunningMatcher, key: str, vector: Vector = FAR, person_id: str = "ann"
) -> FacerecError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await verify(matcher, key, vector, person_id)
    return from_rpc_error(caught.value, "the matcher")


async def tries(administrator: asyncpg.Connection) -> list[tuple[str, float]]:
    """The callers with missing tries, and the hours until all are regained."""
    rows = await administrator.fetch(
        "SELECT caller, extract(epoch FROM full_time - clock_timestamp())::float8 / 3600 AS hours"
        " FROM facerec.failed_try ORDER BY caller, person_key"
    )
    return [(row["caller"], round(row["hours"], 1)) for row in rows]


async def waiting(administrator: asyncpg.Connection, sessions: int) -> None:
    """Return when so many sessions wait for a lock."""
    async with asyncio.timeout(5):
        while await administrator.fetchval(WAITING) != sessions:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
