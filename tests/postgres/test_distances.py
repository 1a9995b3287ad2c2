"""Distances computed by Postgres equal those of numpy."""

import numpy as np
import pytest

from matcher_service.postgres.database import Database, DatabaseOptions
from matcher_service.postgres.vectors import vector_wire

PAIRS = 10_000


@pytest.mark.parametrize("spread", [1e-4, 0.03, 1.0, 1e6], ids="spread={:g}".format)
async def test_distances_equal_numpys_to_a_millionth(database_url: str, spread: float) -> None:
    """Pairs from hardly apart to far beyond any face, around vectors of dlib's length."""
    random = np.random.default_rng(7)
    a = random.normal(scale=0.125, size=(PAIRS // 4, 128)).astype(np.float32)
    b = (a + random.normal(scale=0.125 * spread, size=a.shape)).astype(np.float32)
    expected = np.linalg.norm(a.astype(np.float64) - b.astype(np.float64), axis=1)
    database = Database(DatabaseOptions(database_url))
    try:
        assert await database.check() == ""
        async with database.session() as session:
            rows = await session.connection.fetch(
                "SELECT a <-> b AS distance FROM unnest($1::vector[], $2::vector[]) WITH ORDINALITY "
                "AS pair(a, b, place) ORDER BY place",
                [vector_wire(vector) for vector in a],
                [vector_wire(vector) for vector in b],
            )
    finally:
        await database.close()
    measured = np.array([row["distance"] for row in rows])
    assert len(measured) == PAIRS // 4
    np.testing.assert_allclose(measured, expected, rtol=1e-6, atol=0)
