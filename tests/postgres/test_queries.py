"""The file of statements: named, planned over indexes, and none without its collection."""

import re

import asyncpg
import numpy as np
import pytest

from matcher_service.database import Database, DatabaseOptions, vector_wire
from matcher_service.queries import load, parse

QUERIES = load()
WITHOUT_COLLECTION = {"schema_version"}
TABLES = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+facerec\.(\w+)(?:\s+(?:AS\s+)?(\w+))?")


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_every_statement_is_understood_by_the_serving_role(database_url: str, name: str) -> None:
    database = Database(DatabaseOptions(database_url, pool_min_size=1))
    try:
        assert await database.check() == ""
        async with database.connection() as connection:
            await connection.prepare(QUERIES[name])
    finally:
        await database.close()


@pytest.mark.parametrize("name", sorted(set(QUERIES) - WITHOUT_COLLECTION))
def test_every_table_of_a_tenant_is_read_within_one_collection(name: str) -> None:
    """As many conditions on the collection as uses of a tenant's table."""
    text = re.sub(r"--.*", "", QUERIES[name])
    uses = [table for table, _ in TABLES.findall(text) if table != "model"]
    bound = len(re.findall(r"collection_id = \$1", text))
    inserted = len(re.findall(r"INSERT INTO facerec\.(?!model)\w+ \(\s*collection_id,", text))
    assert uses
    assert bound + inserted >= len(uses), uses


async def plan(database: Database, name: str, *arguments: object) -> str:
    async with database.connection() as connection:
        rows = await connection.fetch(f"EXPLAIN {QUERIES[name]}", *arguments)
    return "\n".join(row[0] for row in rows)


async def test_one_persons_faces_are_found_by_index_and_a_search_scans(database_url: str) -> None:
    administrator = await asyncpg.connect(database_url)
    await administrator.execute(
        "INSERT INTO facerec.person (collection_id, person_id)"
        " SELECT 'default', i FROM generate_series(1, 3000) AS i;"
        "INSERT INTO facerec.face (collection_id, person_key, encoding, model_key, content_id)"
        " SELECT 'default', p.person_key, array_fill(random(), ARRAY[128])::vector, 1, gen_random_uuid()"
        " FROM facerec.person p, generate_series(1, 3);"
        "ANALYZE facerec.person, facerec.face"
    )
    await administrator.close()
    database = Database(DatabaseOptions(database_url, pool_min_size=1))
    vector = vector_wire(np.full(128, 0.1, np.float32))
    try:
        assert await database.check() == ""
        verify = await plan(database, "verify", "default", "7", vector, None)
        assert "Seq Scan on face" not in verify
        assert "face_default_collection_id_person_key_content_id_key" in verify
        people = await plan(database, "list_persons", "default", "1000", 100)
        assert "Seq Scan" not in people.replace("Seq Scan on collection", "")
        identify = await plan(database, "identify", "default", vector, None, 0.5, 5, "any")
        assert "Seq Scan on face_default f" in identify
    finally:
        await database.close()


def test_two_statements_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two statements have one name"):
        parse("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n")
