"""What `doctor` says of databases that were restored, replicated, upgraded, or have pgvector elsewhere."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from facerec.errors import Reason
from facerec.matcher.v1 import matcher_pb2 as pb
from facerec.serving.server.diagnostics import CheckResult
from facerec.serving.server.errors import StartError
from matcher_service.diagnostics.doctor import examine
from matcher_service.maintenance import runner
from matcher_service.maintenance.runner import MaintenanceOptions
from matcher_service.postgres import migrations
from matcher_service.settings import MatcherSettings
from tests.e2e.matcher.requests import encoding, enroll, refused, vectors
from tests.fixtures.matcher import StartMatcher
from tests.fixtures.programs import run

EXPECTED = ("encoder", "replication")
QUOTED = '"Extensions of ours"'


async def results(url: str) -> dict[str, CheckResult]:
    """What is not in order, by its subject: but for the encoder, and for what a crash loses (DURABILITY)."""
    settings = MatcherSettings.model_validate({"database_url": url, "encoder_address": "127.0.0.1:1"})
    found = [each async for each in examine(settings)]
    return {each.subject: each for each in found if each.state != "ok" and each.subject not in EXPECTED}


@pytest.fixture
async def restored(
    start_matcher: StartMatcher, database_url: str, empty_database_url: str
) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection to an empty database, into which the dump `dump.file` of a used one can go."""
    matcher = await start_matcher(database_url)
    for number, vector in enumerate(vectors(3)):
        await matcher.stub.Enroll(enroll(f"p{number}", encoding(vector)))
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


async def restore(source: str, target: str, *flags: str) -> None:
    """Restore a dump of one database into another."""
    dump = await asyncio.to_thread(run, "pg_dump", "--format=custom", f"--dbname={source}")
    await asyncio.to_thread(run, "pg_restore", "--exit-on-error", *flags, f"--dbname={target}", stdin=dump)


async def test_doctor_finds_no_problem_after_a_complete_restore(
    restored: asyncpg.Connection, database_url: str, empty_database_url: str
) -> None:
    await restore(database_url, empty_database_url)
    assert await results(empty_database_url) == {}


async def test_doctor_reports_a_restore_without_rights(
    restored: asyncpg.Connection, database_url: str, empty_database_url: str
) -> None:
    await restore(database_url, empty_database_url, "--no-privileges")
    found = await results(empty_database_url)
    assert "without --no-privileges" in found["schema"].text
    await restored.execute(
        "GRANT USAGE ON SCHEMA facerec TO facerec_serve;"
        "GRANT SELECT ON facerec.schema_migration TO facerec_serve"
    )
    found = await results(empty_database_url)
    assert found.keys() == {"rights"}
    assert found["rights"].state == "fail"
    assert "facerec.audit among them: restore again" in found["rights"].text


async def test_doctor_reports_a_restore_to_another_owner(
    restored: asyncpg.Connection, database_url: str, empty_database_url: str
) -> None:
    await restore(database_url, empty_database_url, "--no-owner")
    found = await results(empty_database_url)
    assert found.keys() == {"owners"}
    assert found["owners"].state == "fail"
    assert "to postgres: restore again" in found["owners"].text


async def test_doctor_reports_a_key_sequence_left_behind_by_replication_and_how_to_fix_it(
    start_matcher: StartMatcher, database_url: str, administrator: asyncpg.Connection
) -> None:
    matcher = await start_matcher(database_url)
    for number, vector in enumerate(vectors(3)):
        await matcher.stub.Enroll(enroll(f"p{number}", encoding(vector)))
    assert await results(database_url) == {}
    await administrator.execute("ALTER SEQUENCE facerec.person_key RESTART WITH 1")
    found = await results(database_url)
    assert found.keys() == {"keys"}
    text = found["keys"].text
    assert "at 0 and persons have keys up to 3" in text
    await administrator.execute(text[text.index("SELECT setval") : text.index(", and the same")])
    assert await results(database_url) == {}
    await matcher.stub.Enroll(enroll("one more", encoding(vectors(4)[3])))


async def test_doctor_reports_an_extension_older_than_the_one_installed_on_the_server(
    database_url: str, administrator: asyncpg.Connection
) -> None:
    await administrator.execute("UPDATE pg_extension SET extversion = '0.8.4' WHERE extname = 'vector'")
    found = await results(database_url)
    assert found.keys() == {"pgvector"}
    assert found["pgvector"].state == "warn"
    assert "ALTER EXTENSION vector UPDATE" in found["pgvector"].text
    await administrator.execute("ALTER EXTENSION vector UPDATE")
    assert await results(database_url) == {}


async def test_doctor_reports_tables_without_statistics(
    database_url: str, administrator: asyncpg.Connection
) -> None:
    table = await administrator.fetchval("SELECT facerec.partition_name('face', 'default')")
    await administrator.execute(f"ALTER TABLE facerec.{table} SET (autovacuum_enabled = off)")
    await administrator.execute(
        f"INSERT INTO facerec.{table} (person_key, model_key, encoding, content_id, collection_id) "
        "SELECT n, 1, array_fill(0.1::real, ARRAY[128])::vector, gen_random_uuid(), 'default' "
        "FROM generate_series(1, 3000) AS n"
    )
    found = await results(database_url)
    assert found.keys() == {"statistics"}
    assert found["statistics"].text.startswith("1 tables have no statistics")
    await administrator.execute(f"ANALYZE facerec.{table}")
    assert await results(database_url) == {}


@pytest.fixture
async def empty(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection to a database without anything of ours."""
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


async def test_a_schema_whose_name_needs_quotes_works(
    start_matcher: StartMatcher, empty_database_url: str, empty: asyncpg.Connection
) -> None:
    await empty.execute(f"CREATE SCHEMA {QUOTED}; CREATE EXTENSION vector SCHEMA {QUOTED}")
    await empty.execute(f"GRANT USAGE ON SCHEMA {QUOTED} TO PUBLIC")
    await migrations.migrate(empty_database_url)
    assert await results(empty_database_url) == {}
    matcher = await start_matcher(empty_database_url)
    face = encoding(vectors(1)[0])
    await matcher.stub.Enroll(enroll("ann", face))
    assert (await matcher.stub.Verify(pb.VerifyRequest(person_id="ann", probe=face))).match
    assert await runner.run_once(MaintenanceOptions(empty_database_url))


async def test_an_unusable_pgvector_schema_is_reported_in_the_same_line_by_every_command(
    start_matcher: StartMatcher, empty_database_url: str, empty: asyncpg.Connection
) -> None:
    await empty.execute("CREATE SCHEMA private; CREATE EXTENSION vector SCHEMA private")
    line = "pgvector is in the schema private, which facerec_owner, facerec_serve may not use: let its owner"
    with pytest.raises(StartError, match=line):
        await migrations.migrate(empty_database_url)
    await empty.execute("GRANT USAGE ON SCHEMA private TO facerec_owner, facerec_serve")
    await migrations.migrate(empty_database_url)
    await empty.execute("REVOKE USAGE ON SCHEMA private FROM facerec_owner, facerec_serve")
    assert line in (await results(empty_database_url))["pgvector"].text
    with pytest.raises(StartError, match="which facerec_owner may not use"):
        await runner.run_once(MaintenanceOptions(empty_database_url))
    matcher = await start_matcher(empty_database_url)
    with refused(
        Reason.STORE_UNAVAILABLE, message="which facerec_serve may not use: let its owner run GRANT"
    ):
        await matcher.stub.ListPersons(pb.ListPersonsRequest())
