"""The personal data in each column is documented, and such columns have no statistics."""

import hashlib
import hmac
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from matcher_service.postgres import migrations
from matcher_service.postgres.migrations import migrate
from matcher_service.postgres.session import Session
from matcher_service.postgres.statements import partition_name
from tests.benchmarks.vectors import Dataset
from tests.fixtures.dataset import load as load_dataset

ERASURE = Path(__file__).parents[2] / "docs" / "erasure.md"
SAMPLED = (
    "SELECT c.relname || '.' || a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
    " WHERE c.relnamespace = 'facerec'::regnamespace AND c.relkind = 'r' AND a.attnum > 0"
    " AND NOT a.attisdropped AND a.attstattarget IS DISTINCT FROM 0::smallint"
)
COLLECTED = "SELECT tablename || '.' || attname AS name FROM pg_stats WHERE schemaname = 'facerec'"


def documented() -> Mapping[str, bool]:
    """Columns as docs/erasure.md lists them, and whether their statistics are collected."""
    columns = {}
    for tables, names, statistics in re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \| (`\w+`(?:, `\w+`)*) \| (yes|no) \|", ERASURE.read_text(), re.MULTILINE
    ):
        for table in re.findall(r"\w+", tables):
            for name in re.findall(r"\w+", names):
                assert f"{table}.{name}" not in columns
                columns[f"{table}.{name}"] = statistics == "yes"
    return columns


async def names(connection: asyncpg.Connection, query: str) -> set[str]:
    """What a query names, partitions by their parents' names."""
    rows = await connection.fetch(query)
    return {re.sub(r"^(\w+?)_[0-9a-f]{32}\b", r"\1", row["name"]) for row in rows}


async def test_every_column_is_listed_with_what_it_holds_of_a_person(
    administrator: asyncpg.Connection,
) -> None:
    there = await names(
        administrator,
        "SELECT table_name || '.' || column_name AS name FROM information_schema.columns"
        " WHERE table_schema = 'facerec'",
    )
    assert there == documented().keys()


async def test_no_statistics_are_collected_of_columns_with_personal_data(
    administrator: asyncpg.Connection,
) -> None:
    """In the parents and in partitions, those of a collection made today too."""
    await administrator.execute("SELECT facerec.create_collection('new', 'space')")
    sampled = {name for name, collected in documented().items() if collected}
    assert await names(administrator, SAMPLED) == sampled
    for collection_id in ("default", "new"):
        await load_dataset(administrator, Dataset(200, photos=2, even=True, seed=3).all(), collection_id)
    await administrator.execute("ANALYZE")
    collected = await names(administrator, COLLECTED)
    assert collected <= sampled
    assert {"person.person_key", "face.person_key"} <= collected
    assert not await administrator.fetch("SELECT FROM pg_statistic_ext")


async def test_indexes_over_means_and_faces_keep_none_in_statistics(
    administrator: asyncpg.Connection,
) -> None:
    await load_dataset(administrator, Dataset(200, photos=2, even=True, seed=3).all())
    schema = await administrator.fetchval(
        "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'vector'"
    )
    await administrator.execute(f"SET search_path = {schema}")
    await administrator.execute(f"UPDATE facerec.{partition_name('face', 'default')} SET is_center = true")
    session = Session(administrator, "default", role="maintenance")
    for over in ("means", "centers"):
        await session.execute_named(f"index_{over}", index=f"near_{over}", lists="16")
        await session.execute_named("keep_index_from_statistics", index=f"near_{over}")
    await administrator.execute("ANALYZE")
    assert not {name for name in await names(administrator, COLLECTED) if name.startswith("near_")}


async def test_a_migration_clears_what_statistics_held(empty_database_url: str) -> None:
    await migrate(empty_database_url, migrations.available()[:8])
    connection = await asyncpg.connect(empty_database_url)
    try:
        await load_dataset(connection, Dataset(200, photos=2, even=True, seed=3).all())
        person = partition_name("person", "default")
        await connection.execute(
            f"CREATE INDEX near ON facerec.{person}"
            " USING ivfflat ((subvector(centroid, 1, 64)::halfvec(64)) halfvec_l2_ops) WITH (lists = 4);"
            "UPDATE facerec.collection SET index_name = 'near', index_effort = 1;"
            "INSERT INTO facerec.erasure (collection_id, persons, faces, vacuum_time, scrub_time)"
            " VALUES ('default', 1, 1, now(), now());"
            "ANALYZE"
        )
        held = await names(connection, COLLECTED)
        assert {"person.person_id", "person.centroid", "face.encoding"} <= held
        assert any(name.startswith("near.") for name in held)
        rows = "SELECT person_id, centroid::text, display_name, audit_key FROM facerec.person ORDER BY 1"
        kept = await connection.fetch(rows)
        await migrate(empty_database_url)
        sampled = {name for name, collected in documented().items() if collected}
        assert await names(connection, COLLECTED) <= sampled
        assert await connection.fetch(rows) == kept
        # The index is gone, searches are exact; vectors stay in line; a scrub has to run again.
        assert await connection.fetchval("SELECT index_effort IS NULL FROM facerec.collection")
        stored = "SELECT attstorage FROM pg_attribute WHERE attname IN ('encoding', 'centroid')"
        assert {row["attstorage"] for row in await connection.fetch(stored)} == {b"p"}
        assert await connection.fetchval("SELECT bool_and(scrub_time IS NULL) FROM facerec.erasure")
    finally:
        await connection.close()


async def test_a_migration_keys_the_digests_of_existing_people_and_blanks_the_others(
    empty_database_url: str,
) -> None:
    await migrate(empty_database_url, migrations.available()[:8])
    connection = await asyncpg.connect(empty_database_url)
    try:
        person, requests = partition_name("person", "default"), partition_name("enroll_request", "default")
        key, face_id = uuid.uuid4(), uuid.uuid4()
        await connection.execute(
            f"INSERT INTO facerec.{person} (collection_id, person_id, person_key, audit_key)"
            " VALUES ('default', 'ann', 7, $1)",
            key,
        )
        await connection.execute(
            f"INSERT INTO facerec.{requests} SELECT 'default', i.id, 'digest', i.key, true, ARRAY[$1::uuid],"
            " '{t}', '{1}', ARRAY[now()] FROM (VALUES ('a', 7), ('enroll ben', 8)) AS i(id, key)",
            face_id,
        )
        await migrate(empty_database_url)
        rows = await connection.fetch("SELECT * FROM facerec.enroll_request ORDER BY person_key")
        ann, ben = rows
        assert ann["digest"] == hmac.digest(key.bytes, b"digest", "sha256")
        assert ann["face_ids"] == [face_id]
        assert ann["request_tag"] == hashlib.sha256(b"a").digest()
        assert (ben["digest"], ben["face_ids"], ben["face_times"]) == (b"", [], [])
        assert ben["request_tag"] == hashlib.sha256(b"enroll ben").digest()
    finally:
        await connection.close()


async def test_a_migration_removes_free_text_from_shared_tables(empty_database_url: str) -> None:
    await migrate(empty_database_url, migrations.available()[:8])
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute(
            "INSERT INTO facerec.model (space, fingerprint) VALUES ('s', ''), ('s', 'cpu;dlib-bin=20.0.0'),"
            " ('s', 'photo of Ann'), ('s', 'photo of Ben'), ('s', E'cpu\n')"
        )
        await migrate(empty_database_url)
        rows = await connection.fetch("SELECT model_key, fingerprint FROM facerec.model ORDER BY 1")
        first = rows[0]["model_key"]
        assert [row["fingerprint"] for row in rows] == [
            "",
            "cpu;dlib-bin=20.0.0",
            *(f"unknown={first + place}" for place in (2, 3, 4)),
        ]
    finally:
        await connection.close()
