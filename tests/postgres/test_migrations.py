"""Migrating a database: once, again, concurrently, and never beyond the known version."""

import asyncio
import contextlib
import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from facerec.serving.server.errors import StartError
from matcher_service.postgres import migrations
from matcher_service.postgres.connections import extension
from matcher_service.postgres.connections.url import DatabaseUrl
from matcher_service.postgres.migrations import Migration, MigrationError, migrate
from matcher_service.postgres.statements import load
from tests.fixtures.postgres import PostgresServer, as_user
from tests.fixtures.waiting import until

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
NAMES = [f"{each.version:04d}_{each.name}" for each in migrations.available()]
NEXT = Migration(len(NAMES) + 1, "next", "CREATE TABLE facerec.next (id int)", "0" * 64, len(NAMES) + 1)
LOCKING = dataclasses.replace(NEXT, text="ALTER TABLE facerec.person ADD COLUMN note text")
# Whether a session has undone a transaction and begun no other.
UNDONE = """
SELECT count(*) > 0 FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle' AND query LIKE 'ROLLBACK%'
"""


def test_a_migration_says_which_releases_it_serves() -> None:
    assert migrations.serves_from(14, "-- Notes.\n-- serves: 13\nSELECT 1;\n") == 13
    for unclear in ("", "--serves: 13\n", "-- serves 13\n", "-- serves: 15\n"):
        with pytest.raises(AssertionError, match="migration 14"):
            migrations.serves_from(14, unclear)


async def test_migrating_again_applies_nothing(empty_database_url: str) -> None:
    assert await migrate(empty_database_url) == NAMES
    assert await migrate(empty_database_url) == []
    assert migrations.head() == len(NAMES)


async def test_concurrent_runs_apply_each_file_once(make_database: Callable[[str], str]) -> None:
    urls = [await asyncio.to_thread(make_database, "template0") for _ in range(3)]
    applied = await asyncio.gather(*(migrate(url) for url in urls for _ in range(3)))
    assert sorted(applied) == [[]] * 6 + [NAMES] * 3


async def test_a_later_release_applies_the_remaining_migrations(database_url: str) -> None:
    assert await migrate(database_url, [*migrations.available(), NEXT]) == [f"{NEXT.version:04d}_next"]
    with pytest.raises(
        MigrationError,
        match=f"needs a release of schema version {len(NAMES) + 1} or later, and this one is of {len(NAMES)}",
    ):
        await migrate(database_url)


async def test_an_earlier_release_does_not_change_a_newer_schema_that_serves_it(database_url: str) -> None:
    expanding = dataclasses.replace(NEXT, serves_from=len(NAMES))
    assert await migrate(database_url, [*migrations.available(), expanding]) == [f"{NEXT.version:04d}_next"]
    assert await migrate(database_url) == []


async def test_a_migration_that_stops_serving_older_releases_does_so_for_all_later_ones(
    database_url: str,
) -> None:
    later = dataclasses.replace(
        NEXT, version=NEXT.version + 1, name="later", text="SELECT 1", serves_from=len(NAMES)
    )
    await migrate(database_url, [*migrations.available(), NEXT, later])
    with pytest.raises(MigrationError, match=f"needs a release of schema version {NEXT.version}"):
        await migrate(database_url)


async def test_an_old_migration_table_without_serves_from_means_each_migrations_own_version(
    database_url: str, administrator: asyncpg.Connection
) -> None:
    await administrator.execute("ALTER TABLE facerec.schema_migration DROP serves_from")
    row = await administrator.fetchrow(load()["schema_version"].text)
    assert row is not None
    assert tuple(row) == (len(NAMES), len(NAMES))
    assert await migrate(database_url) == []
    assert await administrator.fetchval("SELECT count(serves_from) FROM facerec.schema_migration") == 0


async def test_a_failed_migration_leaves_nothing_and_can_be_fixed(database_url: str) -> None:
    broken = dataclasses.replace(NEXT, text=NEXT.text + "; SELECT nonsense()")
    with pytest.raises(MigrationError, match=r"undone: function nonsense\(\) does not exist"):
        await migrate(database_url, [*migrations.available(), broken])
    assert await migrate(database_url, [*migrations.available(), NEXT]) == [f"{NEXT.version:04d}_next"]


async def test_an_edited_migration_is_refused(database_url: str) -> None:
    edited = [dataclasses.replace(known, checksum="1" * 64) for known in migrations.available()]
    with pytest.raises(MigrationError, match="0001_gallery differs from this release"):
        await migrate(database_url, edited)


async def test_a_migration_waits_for_a_lock_for_a_limited_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "TABLE_LOCK_PAUSE_SECONDS", 0)
    monkeypatch.setattr(migrations, "TABLE_LOCK_ATTEMPTS", 2)
    reader = await asyncpg.connect(database_url)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT FROM facerec.person")
            with pytest.raises(MigrationError, match="holds a lock"):
                await migrate(database_url, [*migrations.available(), LOCKING])
    finally:
        await reader.close()


async def test_a_migration_lets_others_pass_between_its_waits_for_a_lock(
    database_url: str, administrator: asyncpg.Connection
) -> None:
    reader = await asyncpg.connect(database_url)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT FROM facerec.person")
            migrating = asyncio.create_task(migrate(database_url, [*migrations.available(), LOCKING]))
            # Between two attempts it holds and awaits nothing.
            await until(lambda: administrator.fetchval(UNDONE))
            await administrator.fetch("SELECT FROM facerec.person")
        assert await migrating == [f"{LOCKING.version:04d}_next"]
    finally:
        await reader.close()


async def test_missing_administrator_rights_are_reported_in_one_clear_line(
    empty_database_url: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute("DROP ROLE IF EXISTS plain_login; CREATE ROLE plain_login LOGIN")
        plain = as_user(empty_database_url, "plain_login")
        with pytest.raises(StartError, match="let a superuser run CREATE EXTENSION vector"):
            await migrate(plain)
        await connection.execute("CREATE EXTENSION vector")
        with pytest.raises(StartError, match=r"the migrating user lacks a privilege: .*It needs CREATEROLE"):
            await migrate(plain)
        monkeypatch.setattr(extension, "MIN_PGVECTOR", (99, 0, 0))
        with pytest.raises(StartError, match=r"pgvector 99\.0\.0 or newer is needed"):
            await migrate(empty_database_url)
        monkeypatch.setattr(extension, "MIN_SERVER_VERSION", 99)
        with pytest.raises(StartError, match="Postgres 99 or newer is needed; this is"):
            await migrate(empty_database_url)
    finally:
        await connection.execute("DROP ROLE plain_login")
        await connection.close()


async def test_a_database_of_another_encoding_is_refused(postgres_server: PostgresServer) -> None:
    name = "facerec_test_latin1"
    make = (
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' "
        "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
    await asyncio.to_thread(postgres_server.execute, drop, make)
    try:
        with pytest.raises(StartError, match="encoding UTF8 is needed; this one is LATIN1"):
            await migrate(postgres_server.url(name))
    finally:
        await asyncio.to_thread(postgres_server.execute, drop)


async def test_an_ordinary_user_with_the_rights_named_can_migrate(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    name = urlsplit(empty_database_url).path.removeprefix("/")
    try:
        await connection.execute(
            "CREATE EXTENSION vector; DROP ROLE IF EXISTS migrator; CREATE ROLE migrator LOGIN CREATEROLE;"
            f"GRANT CREATE ON DATABASE {name} TO migrator"
        )
        exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = 'facerec_owner'")
        if exists:  # made by another test's superuser, who would now grant it
            await connection.execute("GRANT facerec_owner TO migrator")
        assert await migrate(as_user(empty_database_url, "migrator")) == NAMES
        owner = await connection.fetchval(
            "SELECT tableowner FROM pg_tables WHERE schemaname = 'facerec' AND tablename = 'face'"
        )
        assert owner == "facerec_owner"
    finally:
        await connection.execute("DROP OWNED BY migrator; DROP ROLE migrator")
        await connection.close()


async def test_what_the_docs_have_a_superuser_run_is_what_migrating_needs(
    postgres_server: PostgresServer,
) -> None:
    documented = re.search(r"```sql\n(CREATE ROLE facerec_owner.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert documented
    before, after = re.sub(r"--.*", "", documented[1]).split("\\connect facerec\n")
    # A name of the test's own; the two roles are the cluster's, and may be another test's already.
    name, logins = f"facerec_documented_{os.getpid()}", ("facerec_migrate", "facerec_matcher")
    statements = [each.strip() for each in before.replace("DATABASE facerec", f"DATABASE {name}").split(";")]
    for statement in filter(None, statements):
        with contextlib.suppress(asyncpg.DuplicateObjectError):
            await asyncio.to_thread(postgres_server.execute, statement)
    try:
        await asyncio.to_thread(postgres_server.execute, after, database=name)
        url = postgres_server.url(name)
        assert await migrate(as_user(url, "facerec_migrate")) == NAMES
        with pytest.raises(MigrationError, match="the migrating user lacks a privilege"):
            await migrate(as_user(url, "facerec_matcher"))
        serving = await asyncpg.connect(as_user(url, "facerec_matcher"))
        try:
            await serving.execute("SET ROLE facerec_serve")
            assert await serving.fetchval("SELECT count(*) FROM facerec.collection") == 1
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await serving.execute("DROP TABLE facerec.collection")
        finally:
            await serving.close()
    finally:
        await asyncio.to_thread(postgres_server.execute, f"DROP DATABASE {name}")
        for login in logins:
            drop = (f"DROP OWNED BY {login}", f"DROP ROLE {login}")
            await asyncio.to_thread(postgres_server.execute, *drop)


async def test_a_missing_database_is_reported_in_one_clear_line() -> None:
    with pytest.raises(MigrationError, match="cannot connect to the database"):
        await migrate("postgresql://nobody@127.0.0.1:1/nothing")


async def test_a_migration_that_waits_begins_once_its_login_and_database_are_made(
    postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def waits(reason: str) -> bool:
        said.append(capsys.readouterr().err)
        return reason in "".join(said)

    said: list[str] = []
    name = f"facerec_late_{os.getpid()}"
    url = DatabaseUrl(as_user(postgres_server.url(name), name))
    migrating = asyncio.create_task(migrations.migrate_when_ready(url, wait_seconds=float("inf")))
    try:
        await until(lambda: waits(f'role "{name}" does not exist'))
        await asyncio.to_thread(postgres_server.execute, f"CREATE ROLE {name} LOGIN SUPERUSER")
        await until(lambda: waits(f'database "{name}" does not exist'))
        await asyncio.to_thread(postgres_server.execute, f"CREATE DATABASE {name} TEMPLATE template0")
        assert await migrating == NAMES
    finally:
        migrating.cancel()
        drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"DROP ROLE IF EXISTS {name}"
        await asyncio.to_thread(postgres_server.execute, *drop)
    assert len("".join(said).splitlines()) == 2, "each reason is said once"


async def test_a_migration_does_not_wait_for_what_a_person_must_fix(database_url: str) -> None:
    await migrate(database_url, [*migrations.available(), NEXT])
    with pytest.raises(MigrationError, match="needs a release of schema version"):
        await migrations.migrate_when_ready(DatabaseUrl(database_url), wait_seconds=float("inf"))


async def test_the_people_of_the_first_schema_are_migrated(empty_database_url: str) -> None:
    """People, faces and request ids keep what they had; each person gets the mean of their encodings."""
    assert await migrate(empty_database_url, migrations.available()[:1]) == NAMES[:1]
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute(
            "INSERT INTO facerec.model (space, fingerprint) VALUES ('s', 'f');"
            "INSERT INTO facerec.person (collection_id, person_id, display_name)"
            " VALUES ('default', 'ann', 'Ann'), ('default', 'ben', '');"
            "INSERT INTO facerec.face"
            " (collection_id, person_key, encoding, model_key, content_id, external_ref)"
            " SELECT 'default', p.person_key, array_fill(v::real, ARRAY[128])::vector, 1,"
            " gen_random_uuid(), v"
            " FROM facerec.person p, unnest(ARRAY[0.25, 0.75]) AS v WHERE p.person_id = 'ann';"
            "INSERT INTO facerec.enroll_request"
            " SELECT 'default', 'r', 'd', person_key, true, '{}', '{}', '{}', '{}'"
            " FROM facerec.person WHERE person_id = 'ann'"
        )
        faces = "SELECT face_id, person_key, encoding::text, content_id, external_ref, create_time"
        people = "SELECT person_id, person_key, display_name, create_time, update_time FROM facerec.person"
        requests = "SELECT person_key, person_created, face_ids, create_time FROM facerec.enroll_request"
        before = [
            await connection.fetch(f"{faces} FROM facerec.face ORDER BY 1"),
            await connection.fetch(f"{people} ORDER BY 1"),
            await connection.fetch(requests),
        ]
        assert await migrate(empty_database_url) == NAMES[1:]
        after = [
            await connection.fetch(f"{faces} FROM facerec.face ORDER BY 1"),
            await connection.fetch(f"{people} ORDER BY 1"),
            await connection.fetch(requests),
        ]
        assert after == before
        assert await connection.fetchval(
            "SELECT centroid = array_fill(0.5::real, ARRAY[128])::vector FROM facerec.person"
            " WHERE person_id = 'ann'"
        )
        key = await connection.fetchval("SELECT max(person_key) FROM facerec.person")
        assert await connection.fetchval("SELECT nextval('facerec.person_key')") == key + 1
        left = await connection.fetch("SELECT relname FROM pg_class WHERE relname LIKE 'old%'")
        assert left == []
    finally:
        await connection.close()


async def test_an_index_over_means_alone_is_no_longer_used(empty_database_url: str) -> None:
    await migrate(empty_database_url, migrations.available()[:11])
    connection = await asyncpg.connect(empty_database_url)
    try:
        await connection.execute("UPDATE facerec.collection SET index_name = 'near_1', index_effort = 4")
        await migrate(empty_database_url)
        asked = "SELECT index_effort IS NOT NULL FROM facerec.collection WHERE index_name = 'near_1'"
        assert await connection.fetchval(asked) is False
    finally:
        await connection.close()
