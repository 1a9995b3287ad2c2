"""The file of statements: named, planned over indexes, and none that can see another tenant's rows."""

import asyncio
import datetime
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import numpy as np
import pytest

from matcher_service.postgres.database import Database, DatabaseOptions, vector_wire
from matcher_service.postgres.statements import PARENTS, load, of_collection, parse, partition_name
from tests.benchmarks.vectors import Faces
from tests.fixtures.gallery import load as load_gallery

# Of no collection, or of all: what they read of each is its settings, never people or faces.
OF_THE_CATALOG = {"schema_version", "list_collections", "get_collection", "search_defaults"}
OF_THE_CATALOG |= {"create_collection", "delete_collection", "update_collection", "maintenance_left"}
OF_THE_CATALOG |= {"count_refusal", "stop_enrollment", "maintenance_steps", "schema_identity", "tables_state"}
OTHER = "other"
VECTOR = vector_wire(np.full(128, 0.1, np.float32))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(DatabaseOptions(database_url, pool_min_size=1))
    assert await database.check() == ""
    async with database.connection() as connection:
        assert await connection.fetchval(load()["create_collection"], OTHER, "space")
    yield database
    await database.close()


async def test_a_partition_has_one_name_in_sql_and_in_python(database: Database) -> None:
    async with database.connection() as connection:
        for parent in PARENTS:
            for collection_id in ("default", "a", "z" * 63):
                name = await connection.fetchval(
                    "SELECT facerec.partition_name($1, $2)", parent, collection_id
                )
                assert name == partition_name(parent, collection_id)
                assert len(name) < 64


async def test_every_statement_is_understood_by_the_serving_role(database: Database) -> None:
    async with database.connection() as connection:
        for text in of_collection("default").values():
            await connection.prepare(text)


async def test_no_statement_reads_or_locks_another_tenants_rows(database: Database) -> None:
    """Plans every statement for one collection and walks what it scans and writes."""
    own = {partition_name(parent, "default") for parent in PARENTS}
    common = {
        "collection",
        "index_build",
        "pg_extension",
        "pg_type",
        "model",
        "schema_migration",
        "face_import",
        "erasure",
        "calibration",
        "dismissed_duplicate",
        "failed_try",
        "audit",
        "recent_enrollment",
        "maintenance",
    }
    walked = set()
    async with database.connection() as connection:
        for name, text in of_collection("default").items():
            count = len((await connection.prepare(text)).get_parameters())
            async with connection.transaction():
                await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
                await connection.execute(f"PREPARE walked AS {text}")
                nulls = f"({', '.join(['NULL'] * count)})" if count else ""
                row = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE walked{nulls}")
                await connection.execute("DEALLOCATE walked")
                locked = {
                    record["relname"]
                    for record in await connection.fetch(
                        "SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
                        " JOIN pg_namespace n ON n.oid = c.relnamespace"
                        " WHERE l.pid = pg_backend_pid() AND n.nspname = 'facerec'"
                        " AND c.relkind IN ('r', 'p')"
                    )
                }
            touched = set(relations(json.loads(row)))
            assert touched | locked <= own | common, name
            assert touched or name in OF_THE_CATALOG, name
            walked |= touched
    assert own <= walked


def relations(plan: Any) -> Iterator[str]:
    """Every table a plan names."""
    if isinstance(plan, list):
        for part in plan:
            yield from relations(part)
    elif isinstance(plan, dict):
        if "Relation Name" in plan:
            yield plan["Relation Name"]
        for part in plan.values():
            yield from relations(part)


async def test_a_row_cannot_be_put_into_another_tenants_partition(database: Database) -> None:
    async with database.connection() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(
                f"INSERT INTO facerec.{partition_name('person', OTHER)} (collection_id, person_id)"
                " VALUES ('default', 'ann')"
            )


async def test_no_row_can_be_put_into_what_the_partitions_inherit_from(database_url: str) -> None:
    administrator = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.CheckViolationError):
        await administrator.execute(
            "INSERT INTO facerec.person (collection_id, person_id) VALUES ('default', 'ann')"
        )
    await administrator.close()


async def plan(database: Database, name: str, *arguments: object, role: str = "serving") -> str:
    async with database.connection() as connection:
        rows = await connection.fetch(f"EXPLAIN {of_collection('default', role)[name]}", *arguments)
    return "\n".join(row[0] for row in rows)


async def test_one_persons_faces_are_found_by_index_and_a_search_scans(
    database: Database, database_url: str
) -> None:
    face, person = partition_name("face", "default"), partition_name("person", "default")
    administrator = await asyncpg.connect(database_url)
    await administrator.execute(
        f"INSERT INTO facerec.{person} (collection_id, person_id)"
        " SELECT 'default', i FROM generate_series(1, 3000) AS i;"
        f"INSERT INTO facerec.{face} (collection_id, person_key, encoding, model_key, content_id)"
        " SELECT 'default', p.person_key, array_fill(random(), ARRAY[128])::vector, 1, gen_random_uuid()"
        f" FROM facerec.{person} p, generate_series(1, 3);"
        f"ANALYZE facerec.{person}, facerec.{face}"
    )
    await administrator.close()
    verify = await plan(database, "verify", "default", "7", VECTOR, None, *[None] * 6)
    assert f"Seq Scan on {face}" not in verify
    assert "(collection_id = 'default'::text) AND (person_key = p.person_key)" in verify
    expired = await plan(database, "drop_expired", "default", ["7", "8"])
    assert "Seq Scan" not in expired.replace("Seq Scan on collection", "")
    due = await plan(database, "lock_expired_persons", "default", 500, role="maintenance")
    assert "Seq Scan" not in due
    assert f"Index Scan using {face}_expire_time_idx on {face}" in due
    row = ["7"], [""], [""], [uuid.uuid4()], [VECTOR], [""], [None]
    taken = await plan(database, "import_faces", "default", *row, "space", [7])
    assert f"Seq Scan on {face}" not in taken
    assert f"Seq Scan on {person}" not in taken
    assert 'person_id COLLATE "C"' in taken  # merges lock people in that order too
    locked = await plan(database, "lock_imported_persons", "default", ["7"])
    assert f"Seq Scan on {person}" not in locked
    people = await plan(database, "list_persons", "default", "1000", 100, "10")
    assert "Seq Scan" not in people.replace("Seq Scan on collection", "")
    assert people.count("(person_id ") == 3  # both ends of the prefix too bound what is read of the index
    export = await plan(
        database, "export_faces", "default", "7", datetime.datetime.now(datetime.UTC), uuid.uuid4(), 100
    )
    assert "Seq Scan" not in export.replace("Seq Scan on model", "")
    assert "(collection_id = 'default'::text) AND (person_key = p.person_key)" in export
    assert "Presorted Key: p.person_id" in export  # so that it ends with the page's last row
    identify = await plan(
        database, "identify", "default", VECTOR, None, 0.5, 5, "any", True, None, 1.0, 1.0, False
    )
    assert f"Seq Scan on {face} f" in identify
    review = ("review_exactly", "default", [1, 2, 3], 0.5, False, 0, 0, 101)
    everybody, some = await plan(database, *review, 1, 2**63 - 1), await plan(database, *review, 1, 40)
    assert everybody.count(f"Seq Scan on {face} ") == 1
    assert f"Seq Scan on {face} " not in some


async def test_no_more_pairs_leave_the_database_than_are_asked_for(
    database: Database, database_url: str
) -> None:
    people = 300
    administrator = await asyncpg.connect(database_url)
    encoding = np.full(128, 0.1, np.float32)
    await load_gallery(administrator, Faces(np.arange(people), np.tile(encoding, (people, 1))))
    await administrator.close()
    statements = of_collection("default")
    async with database.connection() as connection:
        keys = [
            row["person_key"]
            for row in await connection.fetch(statements["pick_reviewed"], "default", 0, people)
        ]
        for told, expected in ((0, keys[1:]), (keys[100], keys[101:])):
            arguments = ("default", keys, 0.5, False, keys[0], told)
            exact = await connection.fetch(statements["review_exactly"], *arguments, 9, keys[0], 2**63 - 1)
            assert [(row["low_key"], row["high_key"]) for row in exact] == [
                (keys[0], key) for key in expected[:9]
            ]
            proposed = await connection.fetch(statements["review_by_index"], *arguments, 9)
            assert len(proposed) == 9
        # A bound on the others holds too, and so does the size where there are fewer.
        few = await connection.fetch(
            statements["review_exactly"], "default", keys[:1], 0.5, False, 0, 0, 9, keys[0], keys[4]
        )
        assert [row["high_key"] for row in few] == keys[1:5]
        assert await connection.fetchval(statements["bound_reviewed"], "default", keys[0], 4) == keys[4]
        assert await connection.fetchval(statements["bound_reviewed"], "default", keys[-3], 3) is None


async def test_an_enrolment_locks_nobody_while_it_waits_for_a_model(
    database: Database, database_url: str
) -> None:
    person, lock = partition_name("person", "default"), of_collection("default")["lock_enrolled_person"]
    administrator = await asyncpg.connect(database_url)
    waiting = "datname = current_database() AND wait_event_type = 'Lock'"
    async with database.connection() as holder, database.connection() as other:
        assert await holder.fetch(lock, "default", "ann", "space", [""])
        async with holder.transaction():
            await holder.execute(load()["add_models"], "space", ["new"])
            enrolling = asyncio.ensure_future(other.fetch(lock, "default", "ann", "space", ["new"]))
            while not await administrator.fetch(f"SELECT FROM pg_stat_activity WHERE {waiting}"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await administrator.execute(
                f"SELECT FROM facerec.{person} WHERE person_id = 'ann' FOR UPDATE NOWAIT"
            )
        assert await enrolling == []
        assert await other.fetch(lock, "default", "ben", "space", ["new", "newer"])
    await administrator.close()


def test_two_statements_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two statements have one name"):
        parse("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n")
