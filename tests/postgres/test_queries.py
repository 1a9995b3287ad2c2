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

from matcher_service.persons.listing import LIST_CONDITIONS
from matcher_service.persons.selecting import SELECT_CONDITIONS
from matcher_service.postgres.database import Database, DatabaseOptions
from matcher_service.postgres.statements import PARENTS, load, of_collection, parse, partition_name
from matcher_service.postgres.vectors import vector_wire, vectors_wire
from tests.benchmarks.vectors import Faces
from tests.fixtures.dataset import load as load_dataset

# Of no collection, or of all: what they read of each is its settings, never people or faces.
OF_THE_CATALOG = {"schema_version", "list_collections", "get_collection", "search_defaults"}
OF_THE_CATALOG |= {"create_collection", "delete_collection", "update_collection", "maintenance_left"}
OF_THE_CATALOG |= {
    "count_refusal",
    "stop_enrollment",
    "maintenance_steps",
    "schema_identity",
    "session_identity",
    "session_settings",
    "tables_state",
    "limit_statements",
    "commit_position",
    "primary_identity",
    "flush_commits",
    "replay_position",
}
OTHER = "other"
ENCODING = np.full(128, 0.1, np.float32)
VECTOR = vector_wire(ENCODING)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(DatabaseOptions(database_url, pool_min_size=1))
    assert await database.check() == ""
    async with database.session(OTHER) as session:
        assert await session.value("create_collection", space="space")
    yield database
    await database.close()


async def test_a_partition_has_one_name_in_sql_and_in_python(database: Database) -> None:
    async with database.session() as session:
        for parent in PARENTS:
            for collection_id in ("default", "a", "z" * 63):
                name = await session.connection.fetchval(
                    "SELECT facerec.partition_name($1, $2)", parent, collection_id
                )
                assert name == partition_name(parent, collection_id)
                assert len(name) < 64


async def test_a_new_collections_tables_have_the_indexes_of_one_that_was_migrated(database: Database) -> None:
    async with database.session() as session:
        indexes: dict[str, set[str]] = {}
        for collection_id in ("default", OTHER):
            names = [partition_name(parent, collection_id) for parent in PARENTS]
            rows = await session.connection.fetch(
                "SELECT tablename, regexp_replace(indexdef, '^.* USING ', '') AS over FROM pg_indexes"
                " WHERE schemaname = 'facerec' AND tablename = ANY ($1)",
                names,
            )
            indexes[collection_id] = {f"{row['tablename'].split('_')[0]}: {row['over']}" for row in rows}
    assert indexes["default"] == indexes[OTHER]
    (labels,) = (index for index in indexes[OTHER] if "labels" in index)
    assert "gin (labels jsonb_path_ops) WITH (fastupdate=off) WHERE (labels <> " in labels


async def test_every_statement_can_be_prepared_by_the_serving_role(database: Database) -> None:
    async with database.session() as session:
        for name in load():
            await session.connection.prepare(of_collection("default", name).text)


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
        "operation",
        "dismissed_duplicate",
        "failed_try",
        "audit",
        "recent_enrollment",
        "maintenance",
    }
    walked = set()
    async with database.session() as session:
        connection = session.connection
        for name in load():
            text = of_collection("default", name).text
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


async def test_no_row_can_be_inserted_into_another_tenants_partition(database: Database) -> None:
    async with database.session() as session:
        with pytest.raises(asyncpg.CheckViolationError):
            await session.connection.execute(
                f"INSERT INTO facerec.{partition_name('person', OTHER)} (collection_id, person_id)"
                " VALUES ('default', 'ann')"
            )


async def test_no_row_can_be_inserted_into_the_parent_tables(database_url: str) -> None:
    administrator = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.CheckViolationError):
        await administrator.execute(
            "INSERT INTO facerec.person (collection_id, person_id) VALUES ('default', 'ann')"
        )
    await administrator.close()


async def plan(
    database: Database,
    name: str,
    role: str = "serving",
    without: frozenset[str] = frozenset(),
    **values: object,
) -> str:
    statement = of_collection("default", name, role, without=without)
    arguments = statement.arguments({"collection_id": "default", **values})
    async with database.session() as session:
        rows = await session.connection.fetch(f"EXPLAIN {statement.text}", *arguments)
    return "\n".join(row[0] for row in rows)


async def check_lists(database: Database, face: str, person: str) -> None:
    """Check that lists of people and faces are read by an index, from where a page begins."""
    place: dict[str, Any] = {"after_person_id": "1000", "prefix": "10"}
    page = {**place, "max_rows": 100, "max_attribute_bytes": 1000}
    for max_read in (None, 1000):
        people = await plan(database, "list_persons", without=LIST_CONDITIONS, max_read=max_read, **page)
        assert "Seq Scan" not in people.replace("Seq Scan on collection", "")
        assert people.count("(person_id ") == 3  # both ends of the prefix too bound what is read of the index
    found = await plan(
        database, "search_persons", without=SELECT_CONDITIONS, query="an", max_persons=101, **place
    )
    assert f"{person}_search_words_idx" in found
    assert f"{person}_pkey" not in found
    for condition, index in (
        ({"labels_path": '($."site" == "a")'}, f"{person}_labels_idx"),
        ({"name_prefix": "An"}, f"{person}_display_name_idx"),
        ({"person_ids": ["7", "8"]}, f"{person}_pkey"),
        ({"only_suspended": True}, f"{person}_person_key_idx"),
    ):
        without = SELECT_CONDITIONS.difference(condition)
        chosen = await plan(database, "select_persons", without=without, max_persons=5001, **condition)
        assert index in chosen
    referred = await plan(
        database,
        "list_faces_by_reference",
        external_ref="badge",
        after_time=None,
        after_face_id=None,
        max_rows=100,
    )
    assert "external_ref_create_time_face" in referred
    every = await plan(database, "list_all_faces", after_face_id=uuid.uuid4(), max_rows=100)
    assert f"Index Scan using {face}_" in every, every
    assert "(face_id > " in every and "Sort" not in every.partition("Limit")[2], every


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
    counted: dict[str, Any] = dict.fromkeys(("caller", "max_distance", "space", "try_seconds", "spread"))
    counted |= dict.fromkeys(("max_missing_seconds", "match_tries", "failure_tries"))
    verify = await plan(database, "verify", person_id="7", encoding=VECTOR, face_id=None, **counted)
    claims = await plan(
        database,
        "verify_claims",
        person_ids=["7", "8"],
        encodings=vectors_wire(2 * [ENCODING]),
        face_ids=[None, uuid.uuid4()],
        spreads=[0.0, 0.1],
    )
    for each in (verify, claims):
        assert f"Seq Scan on {face}" not in each
        assert f"Seq Scan on {person}" not in each
        assert "(collection_id = 'default'::text) AND (person_key = p.person_key)" in each
    expired = await plan(database, "delete_expired", person_ids=["7", "8"])
    assert "Seq Scan" not in expired.replace("Seq Scan on collection", "")
    due = await plan(database, "lock_expired_persons", role="maintenance", max_persons=500)
    assert "Seq Scan" not in due
    assert f"Index Scan using {face}_expire_time_idx on {face}" in due
    taken = await plan(
        database,
        "import_faces",
        person_ids=["7"],
        display_names=[""],
        external_refs=[""],
        content_ids=[uuid.uuid4()],
        encodings=[VECTOR],
        fingerprints=[""],
        expire_times=[None],
        labels=['{"site": "a"}'],
        metadata=[None],
        space="space",
        locked_keys=[7],
    )
    assert f"Seq Scan on {face}" not in taken
    assert f"Seq Scan on {person}" not in taken
    assert 'person_id COLLATE "C"' in taken  # merges lock people in that order too
    locked = await plan(database, "lock_imported_persons", person_ids=["7"])
    assert f"Seq Scan on {person}" not in locked
    await check_lists(database, face, person)
    export = await plan(
        database,
        "export_faces",
        after_person_id="7",
        after_time=datetime.datetime.now(datetime.UTC),
        after_face_id=uuid.uuid4(),
        max_rows=100,
        max_attribute_bytes=1000,
    )
    assert "Seq Scan" not in export.replace("Seq Scan on model", "")
    assert "(collection_id = 'default'::text) AND (person_key = p.person_key)" in export
    assert "Presorted Key: p.person_id" in export  # so that it ends with the page's last row
    identify = await plan(
        database,
        "identify",
        encoding=VECTOR,
        face_id=None,
        max_distance=0.5,
        max_candidates=5,
        max_rows=5,
        space="any",
        exact_only=True,
        max_scanned_faces=None,
        lists_share=1.0,
        acceptance_share=1.0,
        by_id=False,
        labels_path=None,
        with_suspended=False,
        left_out_key=None,
    )
    assert f"Seq Scan on {face} f" in identify
    sides: dict[str, Any] = {
        f"{kind}_{side}": None for side in "ab" for kind in ("person_id", "face_id", "encoding")
    }
    both = await plan(database, "compare_persons", max_faces=65, **sides)
    assert "Seq Scan" not in both.replace("Seq Scan on collection", "")
    review = review_of([1, 2, 3], max_rows=101)
    everybody = await plan(database, "review_exactly", **review, after_key=1, until_key=2**63 - 1)
    some = await plan(database, "review_exactly", **review, after_key=1, until_key=40)
    assert everybody.count(f"Seq Scan on {face} ") == 1
    assert f"Seq Scan on {face} " not in some


async def test_no_more_pairs_leave_the_database_than_are_asked_for(
    database: Database, database_url: str
) -> None:
    people = 300
    administrator = await asyncpg.connect(database_url)
    encoding = np.full(128, 0.1, np.float32)
    await load_dataset(administrator, Faces(np.arange(people), np.tile(encoding, (people, 1))))
    await administrator.close()
    async with database.session("default") as session:
        rows = await session.rows("pick_reviewed", first_key=0, max_persons=people)
        keys = [row["person_key"] for row in rows]
        for last, expected in ((0, keys[1:]), (keys[100], keys[101:])):
            review = review_of(keys, last_low_key=keys[0], last_high_key=last, max_rows=9)
            exact = await session.rows("review_exactly", **review, after_key=keys[0], until_key=2**63 - 1)
            assert [(row["low_key"], row["high_key"]) for row in exact] == [
                (keys[0], key) for key in expected[:9]
            ]
            proposed = await session.rows("review_by_index", **review)
            assert len(proposed) == 9
        # A bound on the others holds too, and so does the size where there are fewer.
        few = await session.rows(
            "review_exactly", **review_of(keys[:1], max_rows=9), after_key=keys[0], until_key=keys[4]
        )
        assert [row["high_key"] for row in few] == keys[1:5]
        assert await session.value("bound_reviewed", after_key=keys[0], faces=4) == keys[4]
        assert await session.value("bound_reviewed", after_key=keys[-3], faces=3) is None


def review_of(keys: list[int], **values: int) -> dict[str, Any]:
    return {
        "person_keys": keys,
        "max_distance": 0.5,
        "include_dismissed": False,
        "last_low_key": 0,
        "last_high_key": 0,
        **values,
    }


async def test_an_enrollment_locks_nobody_while_it_waits_for_a_model(
    database: Database, database_url: str
) -> None:
    person, lock = partition_name("person", "default"), "lock_enrolled_person"
    administrator = await asyncpg.connect(database_url)
    waiting = "datname = current_database() AND wait_event_type = 'Lock'"
    async with database.session("default") as holder, database.session("default") as other:
        assert await holder.rows(lock, person_id="ann", space="space", fingerprints=[""])
        async with holder.transaction():
            await holder.execute("add_models", space="space", fingerprints=["new"])
            enrolling = asyncio.ensure_future(
                other.rows(lock, person_id="ann", space="space", fingerprints=["new"])
            )
            while not await administrator.fetch(f"SELECT FROM pg_stat_activity WHERE {waiting}"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await administrator.execute(
                f"SELECT FROM facerec.{person} WHERE person_id = 'ann' FOR UPDATE NOWAIT"
            )
        assert await enrolling == []
        assert await other.rows(lock, person_id="ben", space="space", fingerprints=["new", "newer"])
    await administrator.close()


def test_two_statements_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two statements have the same name"):
        parse("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n")


def test_values_of_a_statement_are_named_and_missing_or_unknown_ones_are_refused() -> None:
    statement = parse("-- name: a\nSELECT :one::int, ':two', x[:one :] FROM t WHERE a = :two;\n")["a"]
    assert statement.text == "SELECT $1::int, ':two', x[$1 :] FROM t WHERE a = $2"
    assert statement.arguments({"two": 2, "one": 1}) == [1, 2]
    for values in ({"one": 1}, {"one": 1, "three": 3}, {"one": 1, "two": 2, "three": 3}):
        with pytest.raises(TypeError, match="a takes one, two"):
            statement.arguments(values)


def test_a_table_name_in_a_statement_is_quoted() -> None:
    statement = parse('-- name: a\nDROP TABLE :"table";\n')["a"]
    assert statement.with_identifiers({"table": "face_1"}).text == 'DROP TABLE "face_1"'
    assert statement.with_identifiers({"table": 'x"; DROP TABLE y'}).text == 'DROP TABLE "x""; DROP TABLE y"'
